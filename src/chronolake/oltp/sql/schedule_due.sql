-- The schedule that is due longest, held until the transaction ends; none that another process holds.
SELECT
    schedule.id AS schedule_id, project_id, projects.name AS project, archive, query, every, incremental, paused, next_at,
    last_at, last_session_id, error, schedule.created_at
FROM collect_schedules AS schedule
JOIN projects ON projects.id = project_id
WHERE NOT paused AND next_at <= %(now)s AND schedule.id <> ALL (%(seen)s)
ORDER BY next_at
LIMIT 1
FOR UPDATE OF schedule SKIP LOCKED
