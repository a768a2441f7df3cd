-- Note the snapshot in which these batches entered the lake.
UPDATE ledger SET applied_snapshot = %(snapshot_id)s, applied_at = now() WHERE batch_id = ANY(%(batch_ids)s)
