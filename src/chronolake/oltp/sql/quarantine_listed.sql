-- Rejected lines, newest import first, in the order they stand in their files.
SELECT import_id, projects.name AS project, file, position, reason, detail, raw
FROM quarantine
JOIN imports ON imports.id = import_id
JOIN projects ON projects.id = project_id
WHERE (%(import_id)s::bigint IS NULL OR import_id = %(import_id)s)
    AND (%(project)s::text IS NULL OR projects.name = %(project)s)
ORDER BY import_id DESC, quarantine.id
LIMIT %(limit)s::bigint
