-- Drop a replication slot where it is, cutting off who reads from it.
SELECT pg_drop_replication_slot(slot_name)
FROM (SELECT slot_name, pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = %s) s
