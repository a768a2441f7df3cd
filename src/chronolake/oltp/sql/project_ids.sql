-- The numbers of some projects, the oldest first.
SELECT id FROM projects ORDER BY id LIMIT %(most)s
