-- Where the next record of the WAL will lie: what was committed before now lies before it, flushed or not.
SELECT pg_current_wal_insert_lsn()::text
