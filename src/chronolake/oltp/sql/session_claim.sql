-- Let an import work on a scrape session, unless another has begun to since it was looked at.
WITH claimed AS (
    UPDATE scrape_progress SET import_id = %(import_id)s
    WHERE session_id = %(session_id)s AND import_id IS NOT DISTINCT FROM %(seen_import_id)s::bigint
    RETURNING session_id
)
UPDATE scrape_sessions
SET state = 'running', started_at = coalesce(started_at, now()), finished_at = NULL
FROM claimed
WHERE id = session_id
