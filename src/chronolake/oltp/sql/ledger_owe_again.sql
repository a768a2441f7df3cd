-- Promise every batch to the lake once more.
UPDATE ledger SET applied_snapshot = NULL, applied_at = NULL WHERE applied_snapshot IS NOT NULL
