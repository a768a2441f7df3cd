-- An export as it stands.
SELECT
    id AS export_id, what, params, format, state, run, failures, share, rows, bytes, as_of_lsn::text, lag_s, error,
    created_at, started_at, finished_at
FROM exports
WHERE id = %s
