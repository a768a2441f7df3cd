-- Batches that the lake lacks, oldest first.
SELECT batch_id, import_id, table_name, path, rows, bytes, checksum, message_lsn::text, applied_snapshot
FROM ledger
WHERE applied_snapshot IS NULL
ORDER BY message_lsn
