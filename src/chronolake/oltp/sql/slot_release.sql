-- Have the server note which transactions run, where the slot of this name keeps more WAL than the given bytes: only at
-- such notes, of which it makes one every 15 seconds by itself, can a slot let go of WAL.
SELECT pg_log_standby_snapshot()
FROM pg_replication_slots
WHERE
    slot_name = %s
    AND database = current_database()
    AND pg_current_wal_lsn() - restart_lsn > %s
