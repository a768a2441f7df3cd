-- Let an import work on a scrape session, unless another has begun to since it was looked at, or it is to be left alone.
WITH claimed AS (
    UPDATE scrape_progress SET import_id = %(import_id)s, next_at = NULL
    WHERE session_id = %(session_id)s AND import_id IS NOT DISTINCT FROM %(seen_import_id)s::bigint AND wanted = 'run'
    RETURNING session_id
)
UPDATE scrape_sessions
SET state = %(state)s, started_at = coalesce(started_at, now()), finished_at = NULL
FROM claimed
WHERE id = session_id
