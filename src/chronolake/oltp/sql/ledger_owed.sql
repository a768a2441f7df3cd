-- Whether a batch is promised to the lake and not there yet.
SELECT EXISTS (SELECT FROM ledger WHERE batch_id = %s AND applied_snapshot IS NULL)
