-- Whether a living session holds the import's lock.
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(space)s AND objid = %(import_id)s AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
