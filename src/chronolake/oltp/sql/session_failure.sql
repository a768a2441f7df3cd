-- Note what ended a scrape session's run early, and when it is tried again.
UPDATE scrape_progress
SET
    error = %(error)s, failures = failures + 1, next_at = now() + make_interval(secs => %(again_s)s)
WHERE session_id = %(session_id)s AND import_id IS NOT DISTINCT FROM %(import_id)s::bigint
