-- A scrape session as it stands.
SELECT
    session_id, project_id, projects.name AS project, archive_source, state, archive, query, import_id, place, ended,
    pages, progress.read, progress.stored, progress.duplicate, progress.rejected, outside
FROM scrape_progress AS progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
JOIN projects ON projects.id = project_id
WHERE session_id = %s
