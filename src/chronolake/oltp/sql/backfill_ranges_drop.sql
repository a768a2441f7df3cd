-- Forget the ranges of a table's copy.
DELETE FROM chronolake.sync_backfill_ranges WHERE table_name = %s
