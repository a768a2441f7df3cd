-- Sum up what is copied of a table.
UPDATE chronolake.sync_tables
SET ranges_done = done.ranges, rows_done = done.rows, updated_at = clock_timestamp()
FROM (
    SELECT count(*) AS ranges, coalesce(sum(rows), 0) AS rows
    FROM chronolake.sync_backfill_ranges
    WHERE table_name = %(table_name)s AND state = 'staged'
) AS done
WHERE sync_tables.table_name = %(table_name)s
