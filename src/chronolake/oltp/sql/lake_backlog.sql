-- How far the lake is: batches that wait, and the stream's checkpoint less what waits.
SELECT
    coalesce(waiting.batches, 0),
    least(checkpoint.lsn, waiting.oldest_lsn)::text,
    least(checkpoint.noted_at, waiting.oldest_at),
    round(extract(epoch FROM clock_timestamp() - least(checkpoint.noted_at, waiting.oldest_at))::numeric, 3)::float8
FROM (SELECT 1) AS one_row
LEFT JOIN chronolake_lake.chronolake_checkpoint AS checkpoint ON true
LEFT JOIN (
    SELECT count(*) AS batches, min(message_lsn) AS oldest_lsn, min(staged_at) AS oldest_at
    FROM ledger
    WHERE applied_snapshot IS NULL
) AS waiting ON checkpoint.lsn IS NOT NULL
