-- The project of that name, or else of that id.
SELECT id FROM projects
WHERE name = %(key)s OR id::text = %(key)s
ORDER BY name = %(key)s DESC
LIMIT 1
