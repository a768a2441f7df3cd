-- Note that a range is copied.
UPDATE chronolake.sync_backfill_ranges
SET state = 'staged', rows = %(rows)s, file = %(file)s, lsn = %(lsn)s, updated_at = clock_timestamp()
WHERE table_name = %(table_name)s AND number = %(number)s
