-- Bring a scrape session's row up to its progress, and say how it stands: what has come to its end is done.
UPDATE scrape_sessions
SET
    state = CASE WHEN ended THEN 'done' ELSE %(state)s END,
    finished_at = CASE WHEN ended OR %(state)s = 'failed' THEN coalesce(finished_at, now()) END,
    read = progress.read, stored = progress.stored, duplicate = progress.duplicate, rejected = progress.rejected
FROM scrape_progress AS progress
WHERE id = session_id AND session_id = %(session_id)s AND import_id IS NOT DISTINCT FROM %(import_id)s::bigint
