-- Keep what metrics are now.
INSERT INTO metric_samples (sampled_at, process, metric, labels, value)
SELECT %(at)s, %(process)s, metric, labels, value
FROM unnest(%(metrics)s::text[], %(labels)s::text[], %(values)s::float8[]) AS sample (metric, labels, value)
