-- Draw a range of a table's copy.
INSERT INTO chronolake.sync_backfill_ranges (table_name, number, lower, upper, state)
VALUES (%s, %s, %s, %s, 'waiting')
