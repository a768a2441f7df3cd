-- Find the newest value of each metric that tells of memory, processor, disk, queues and stores.
-- A zero has no sign: which of two equal ones an engine takes is its own affair.
WITH placed AS (
SELECT
    process,
    metric,
    labels,
    value,
    sampled_at,
    row_number() OVER (PARTITION BY process, metric, labels ORDER BY sampled_at DESC, id DESC) AS from_last
FROM metric_samples
WHERE sampled_at BETWEEN $start AND $end
    AND metric IN (
        'process_resident_memory_bytes', 'process_cpu_seconds_total', 'process_open_fds', 'chronolake_cache_bytes',
        'chronolake_queries_waiting', 'chronolake_lake_files', 'chronolake_lake_snapshots', 'chronolake_rollups',
        'chronolake_slot_held_bytes', 'chronolake_sync_lag_bytes', 'chronolake_lake_lag_seconds',
        'chronolake_ledger_pending_batches', 'chronolake_sync_dead_letters_open'
    )
)
SELECT process, metric, labels, value + CAST(0 AS DOUBLE) AS value, sampled_at AS since
FROM placed
WHERE from_last = 1
ORDER BY metric, process, labels
