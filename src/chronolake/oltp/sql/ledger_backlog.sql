-- How far the lake is behind: batches that wait, the oldest one's age and place in the WAL; and whether rows were stored that no ledger names.
SELECT
    count(*),
    extract(epoch FROM clock_timestamp() - min(staged_at))::double precision,
    min(message_lsn)::text,
    EXISTS (SELECT FROM imports WHERE NOT dual_write AND (stored > 0 OR state = 'running'))
FROM ledger
WHERE applied_snapshot IS NULL
