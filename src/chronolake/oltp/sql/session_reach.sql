-- The latest capture of the sessions that asked the same of the same archive, whatever the range, and came to their end.
-- None is later than the session that gave it began: archives hold captures of odd times, too.
SELECT max(least(newest, scrape_sessions.created_at AT TIME ZONE 'UTC'))
FROM scrape_progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
WHERE project_id = %(project_id)s AND archive = %(archive)s AND query - 'start' - 'end' = %(scope)s AND state = 'done'
