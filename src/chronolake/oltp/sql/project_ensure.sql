-- Make the project where it is new; its id either way.
WITH made AS (
    INSERT INTO projects (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM projects WHERE name = %(name)s LIMIT 1
