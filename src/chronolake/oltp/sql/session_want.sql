-- Note what people want of a scrape session.
UPDATE scrape_progress
SET wanted = %(wanted)s, next_at = NULL, failures = CASE WHEN %(wanted)s = 'run' THEN 0 ELSE failures END
WHERE session_id = %(session_id)s
