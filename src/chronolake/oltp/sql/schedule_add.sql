-- Note that something is to be collected again and again.
INSERT INTO collect_schedules (project_id, archive, query, every, incremental, next_at)
VALUES (%(project_id)s, %(archive)s, %(query)s, %(every)s, %(incremental)s, %(next_at)s)
RETURNING id
