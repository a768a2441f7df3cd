-- The newest scrape session that asks the same of the same archive and has not come to its end.
SELECT session_id
FROM scrape_progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
WHERE project_id = %(project_id)s AND archive = %(archive)s AND query = %(query)s AND state <> 'done'
ORDER BY session_id DESC
LIMIT 1
