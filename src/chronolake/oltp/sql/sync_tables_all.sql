-- Every table that the sync has noted something of.
SELECT table_name, state, synced_from_lsn::text, last_error, hint, ranges_total, ranges_done, rows_done, rows_estimate, updated_at
FROM sync_tables
ORDER BY table_name
