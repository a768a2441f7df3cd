-- Note what came of a schedule's tick, and when the next one is.
UPDATE collect_schedules
SET
    next_at = %(next_at)s, last_at = %(now)s, last_session_id = coalesce(%(session_id)s, last_session_id),
    error = %(error)s
WHERE id = %(id)s
