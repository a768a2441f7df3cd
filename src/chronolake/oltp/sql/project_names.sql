-- Every project by id.
SELECT id, name FROM projects ORDER BY id
