-- Bring a scrape session's row up to its progress, if the import still has it; say how it stands where that is given.
UPDATE scrape_sessions
SET
    state = coalesce(%(state)s, state),
    finished_at = CASE WHEN %(over)s THEN coalesce(finished_at, now()) END,
    read = progress.read, stored = progress.stored, duplicate = progress.duplicate, rejected = progress.rejected
FROM scrape_progress AS progress
WHERE id = session_id AND session_id = %(session_id)s AND import_id IS NOT DISTINCT FROM %(import_id)s::bigint
