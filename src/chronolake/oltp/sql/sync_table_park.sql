-- Note that a table is followed no more, why, and what to do about it.
INSERT INTO chronolake.sync_tables (table_name, state, last_error, hint)
VALUES (%(table_name)s, %(state)s, %(error)s, %(hint)s)
ON CONFLICT (table_name) DO UPDATE SET
    state = excluded.state,
    last_error = excluded.last_error,
    hint = excluded.hint,
    updated_at = clock_timestamp()
