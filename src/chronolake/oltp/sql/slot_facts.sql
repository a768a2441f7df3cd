-- What the server says of a replication slot of this database.
SELECT
    slot_name,
    active_pid,
    (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint,
    (restart_lsn - '0/0'::pg_lsn)::bigint,
    wal_status,
    (pg_current_wal_lsn() - restart_lsn)::bigint,
    safe_wal_size,
    to_jsonb(s) ->> 'invalidation_reason'
FROM pg_replication_slots s
WHERE slot_name = %s AND database = current_database()
