-- The newest scrape session that asks the same of the same archive and can still come to its end.
SELECT session_id
FROM scrape_progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
WHERE project_id = %(project_id)s AND archive = %(archive)s AND query = %(query)s
    AND state NOT IN ('done', 'cancelled')
ORDER BY session_id DESC
LIMIT 1
