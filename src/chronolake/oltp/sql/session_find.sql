-- A scrape session as it stands.
SELECT
    session_id, project_id, projects.name AS project, archive_source, domain, state, wanted, archive, query, import_id,
    place, ended, pages, progress.read, progress.stored, progress.duplicate, progress.rejected, outside, failures, error,
    next_at, newest, scrape_sessions.created_at, started_at, finished_at
FROM scrape_progress AS progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
JOIN projects ON projects.id = project_id
WHERE session_id = %s
