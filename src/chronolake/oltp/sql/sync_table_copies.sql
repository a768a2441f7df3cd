-- What each table's copy has to remember.
SELECT
    table_name, state, (synced_from_lsn - '0/0'::pg_lsn)::bigint, (careful_lsn - '0/0'::pg_lsn)::bigint, epoch,
    copied_batches, filenode::bigint, copied_shape, ranges_total
FROM chronolake.sync_tables
