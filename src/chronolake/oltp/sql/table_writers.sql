-- Who may have changed rows of a table and has not ended yet: locks are let go after a commit can be seen.
SELECT virtualtransaction
FROM pg_locks
WHERE
    relation = %(table)s::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    AND granted
