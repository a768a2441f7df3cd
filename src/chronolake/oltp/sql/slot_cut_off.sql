-- End the connection that reads from a replication slot, and wait until it has.
SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s AND active_pid IS NOT NULL
