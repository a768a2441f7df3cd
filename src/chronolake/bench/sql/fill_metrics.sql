-- A sample for every fiftieth capture, of ten metrics of two processes in turn, up to now: older ones than are kept go.
INSERT INTO metric_samples (sampled_at, process, metric, labels, value)
SELECT
    (now() AT TIME ZONE 'UTC') - (number / 20) * interval '15 seconds',
    'generated:' || number % 2,
    (ARRAY[
        'chronolake_cache_bytes', 'chronolake_lake_lag_seconds', 'chronolake_lake_snapshots', 'chronolake_queries_waiting',
        'chronolake_sync_lag_bytes', 'process_cpu_seconds_total', 'process_open_fds', 'process_resident_memory_bytes',
        'process_start_time_seconds', 'process_virtual_memory_bytes'
    ])[1 + number / 2 % 10],
    '{}',
    abs(hashint8(number)) % 100000
FROM generate_series(1, (SELECT count(*) / 50 FROM cdx_records)) AS samples (number);
