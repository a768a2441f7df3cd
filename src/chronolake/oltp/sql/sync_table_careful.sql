-- Note up to where the lake may hold rows of a table that the stream still brings.
UPDATE chronolake.sync_tables
SET careful_lsn = greatest(careful_lsn, %(lsn)s::pg_lsn), updated_at = clock_timestamp()
WHERE table_name = %(table_name)s
