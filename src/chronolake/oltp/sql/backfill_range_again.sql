-- A range is to be copied again.
UPDATE chronolake.sync_backfill_ranges
SET state = 'waiting', rows = NULL, file = NULL, lsn = NULL, updated_at = clock_timestamp()
WHERE table_name = %s AND number = %s
