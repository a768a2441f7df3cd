-- How many batches wait, for how long the oldest has, and where the WAL is now.
SELECT count(*), extract(epoch FROM clock_timestamp() - min(staged_at))::double precision,
    pg_current_wal_lsn()::text
FROM ledger
WHERE applied_snapshot IS NULL
