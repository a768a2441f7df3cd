-- Open the account of an import.
INSERT INTO imports (project_id, paths, archive_source, psl_version, dual_write)
VALUES (%(project_id)s, %(paths)s, %(archive_source)s, %(psl_version)s, %(dual_write)s)
RETURNING id
