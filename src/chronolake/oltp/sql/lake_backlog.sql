-- How far the lake is: batches that wait, the stream's checkpoint less what waits, the newest snapshot, the version of
-- the tables' columns, the catalog's own number, and by table the snapshot that changed its rows last.
SELECT
    waiting.batches,
    CASE WHEN checkpoint.lsn IS NOT NULL THEN least(checkpoint.lsn, waiting.oldest_lsn)::text END,
    CASE WHEN checkpoint.lsn IS NOT NULL THEN least(checkpoint.noted_at, waiting.oldest_at) END,
    CASE
        WHEN checkpoint.lsn IS NOT NULL
            THEN round(extract(epoch FROM clock_timestamp() - least(checkpoint.noted_at, waiting.oldest_at))::numeric, 3)::float8
    END,
    newest.snapshot_id,
    newest.schema_version,
    to_regnamespace('chronolake_lake')::oid::bigint,
    (SELECT coalesce(jsonb_object_agg(table_name, snapshot_id), '{}') FROM chronolake_lake.chronolake_changed)
FROM (
    SELECT count(*) AS batches, min(message_lsn) AS oldest_lsn, min(staged_at) AS oldest_at
    FROM ledger
    WHERE applied_snapshot IS NULL
) AS waiting
LEFT JOIN chronolake_lake.chronolake_checkpoint AS checkpoint ON true
LEFT JOIN (
    SELECT snapshot_id, schema_version FROM chronolake_lake.ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1
) AS newest ON true
