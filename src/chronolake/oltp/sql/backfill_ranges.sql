-- The ranges of a table's copy, in order.
SELECT number, lower::bigint, upper::bigint, state, rows, file
FROM chronolake.sync_backfill_ranges
WHERE table_name = %s
ORDER BY number
