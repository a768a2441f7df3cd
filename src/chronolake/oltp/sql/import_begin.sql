-- Open the account of an import.
INSERT INTO imports (project_id, paths, archive_source, psl_version)
VALUES (%(project_id)s, %(paths)s, %(archive_source)s, %(psl_version)s)
RETURNING id
