-- Note the state of a table; what a former state left in its way is forgotten.
INSERT INTO chronolake.sync_tables (table_name, state, synced_from_lsn, epoch)
VALUES (%(table_name)s, %(state)s, %(lsn)s, %(epoch)s)
ON CONFLICT (table_name) DO UPDATE SET
    state = excluded.state,
    synced_from_lsn = coalesce(excluded.synced_from_lsn, sync_tables.synced_from_lsn),
    epoch = coalesce(excluded.epoch, sync_tables.epoch),
    last_error = NULL,
    hint = NULL,
    updated_at = clock_timestamp()
