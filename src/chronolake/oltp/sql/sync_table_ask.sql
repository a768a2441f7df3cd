-- Ask for a copy of a table, anew; one that is under way goes on.
INSERT INTO chronolake.sync_tables (table_name, state)
VALUES (%(table_name)s, %(state)s)
ON CONFLICT (table_name) DO UPDATE SET
    state = excluded.state,
    ranges_total = NULL,
    ranges_done = 0,
    rows_done = 0,
    rows_estimate = NULL,
    last_error = NULL,
    hint = NULL,
    updated_at = clock_timestamp()
WHERE sync_tables.state <> excluded.state
