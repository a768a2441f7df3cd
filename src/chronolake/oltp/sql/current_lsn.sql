-- Where the WAL is now.
SELECT pg_current_wal_lsn()::text
