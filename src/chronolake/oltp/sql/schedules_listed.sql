-- Schedules, oldest first: all, or the one of that id.
SELECT
    schedule.id AS schedule_id, project_id, projects.name AS project, archive, query, every, incremental, paused, next_at,
    last_at, last_session_id, error, schedule.created_at
FROM collect_schedules AS schedule
JOIN projects ON projects.id = project_id
WHERE %(id)s::bigint IS NULL OR schedule.id = %(id)s
ORDER BY schedule.id
