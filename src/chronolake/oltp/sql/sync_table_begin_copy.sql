-- Note that the copy of a table begins at a snapshot, with nothing copied.
INSERT INTO chronolake.sync_tables (
    table_name, state, synced_from_lsn, careful_lsn, epoch, copied_batches, filenode, copied_shape, ranges_total,
    rows_estimate
)
VALUES (
    %(table_name)s, %(state)s, %(lsn)s, %(lsn)s, %(epoch)s, %(batches)s, %(filenode)s, %(shape)s, %(ranges)s,
    %(estimate)s
)
ON CONFLICT (table_name) DO UPDATE SET
    state = excluded.state,
    synced_from_lsn = excluded.synced_from_lsn,
    careful_lsn = excluded.careful_lsn,
    epoch = excluded.epoch,
    copied_batches = excluded.copied_batches,
    filenode = excluded.filenode,
    copied_shape = excluded.copied_shape,
    ranges_total = excluded.ranges_total,
    ranges_done = 0,
    rows_done = 0,
    rows_estimate = excluded.rows_estimate,
    last_error = NULL,
    hint = NULL,
    updated_at = clock_timestamp()
