-- How far the lake is: batches that wait, the stream's checkpoint less what waits, the newest snapshot, the version of
-- the tables' columns, the catalog's own number, and by table the snapshots that changed its rows and its files last. A
-- catalog that an older version made has no column for the latter.
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
    changed.rows,
    changed.files
FROM (
    SELECT count(*) AS batches, min(message_lsn) AS oldest_lsn, min(staged_at) AS oldest_at
    FROM ledger
    WHERE applied_snapshot IS NULL
) AS waiting
LEFT JOIN chronolake_lake.chronolake_checkpoint AS checkpoint ON true
LEFT JOIN (
    SELECT snapshot_id, schema_version FROM chronolake_lake.ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1
) AS newest ON true
CROSS JOIN (
    SELECT
        coalesce(jsonb_object_agg(table_name, snapshot_id), '{}') AS rows,
        -- An older writer leaves `laid_in` as it was.
        coalesce(jsonb_object_agg(table_name, CASE
            WHEN to_jsonb(noted) ->> 'laid_in' IS NOT NULL
                THEN greatest(snapshot_id, (to_jsonb(noted) ->> 'laid_in')::bigint)
        END), '{}') AS files
    FROM chronolake_lake.chronolake_changed AS noted
) AS changed
