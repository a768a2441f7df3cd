-- Note that a table is in the lake as it was at an LSN, and follows the stream from there.
INSERT INTO sync_tables (table_name, state, synced_from_lsn, epoch)
VALUES (%(table_name)s, 'streaming', %(lsn)s::pg_lsn, %(epoch)s)
ON CONFLICT (table_name) DO UPDATE
SET
    state = excluded.state,
    synced_from_lsn = excluded.synced_from_lsn,
    epoch = excluded.epoch,
    last_error = NULL,
    hint = NULL,
    updated_at = clock_timestamp()
