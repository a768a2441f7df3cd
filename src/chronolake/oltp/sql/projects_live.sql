-- Projects as they are now, all or those of some ids; no more than are asked for.
SELECT id, name, created_at FROM projects
WHERE %(ids)s::integer[] IS NULL OR id = ANY(%(ids)s::integer[])
ORDER BY id
LIMIT %(most)s
