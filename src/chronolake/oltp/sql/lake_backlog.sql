-- How far the lake is: batches that wait, the stream's checkpoint less what waits, and the newest snapshot.
SELECT
    waiting.batches,
    CASE WHEN checkpoint.lsn IS NOT NULL THEN least(checkpoint.lsn, waiting.oldest_lsn)::text END,
    CASE WHEN checkpoint.lsn IS NOT NULL THEN least(checkpoint.noted_at, waiting.oldest_at) END,
    CASE
        WHEN checkpoint.lsn IS NOT NULL
            THEN round(extract(epoch FROM clock_timestamp() - least(checkpoint.noted_at, waiting.oldest_at))::numeric, 3)::float8
    END,
    (SELECT max(snapshot_id) FROM chronolake_lake.ducklake_snapshot)
FROM (
    SELECT count(*) AS batches, min(message_lsn) AS oldest_lsn, min(staged_at) AS oldest_at
    FROM ledger
    WHERE applied_snapshot IS NULL
) AS waiting
LEFT JOIN chronolake_lake.chronolake_checkpoint AS checkpoint ON true
