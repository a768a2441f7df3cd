-- Which of these imports a living session holds the lock of.
SELECT objid::bigint
FROM pg_locks
WHERE locktype = 'advisory' AND classid = %(space)s AND objid::bigint = ANY (%(import_ids)s) AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
