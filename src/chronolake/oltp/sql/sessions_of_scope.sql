-- Scrape sessions that ask the same of the same archive, whatever the range, and can still come to their end.
SELECT
    session_id, project_id, projects.name AS project, archive_source, domain, state, wanted, archive, query, import_id,
    place, ended, pages, progress.read, progress.stored, progress.duplicate, progress.rejected, outside, failures, error,
    next_at, newest, scrape_sessions.created_at, started_at, finished_at
FROM scrape_progress AS progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
JOIN projects ON projects.id = project_id
WHERE project_id = %(project_id)s AND archive = %(archive)s AND query - 'start' - 'end' = %(scope)s
    AND state NOT IN ('done', 'cancelled')
ORDER BY session_id
