-- Measure how long one domain is left alone between captures.
-- Captures of one second are one instant: a crawl takes many pages at once, which says nothing of how often it comes.
-- Seconds since 1970 are whole and exact on both engines; their difference is, too.
WITH instants AS (
SELECT
    CAST(date_part('epoch', date_trunc('second', "timestamp")) AS BIGINT) AS instant,
    count(*) AS captures,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY 1
),
steps AS (
SELECT instant, captures, first, last, instant - lag(instant) OVER (ORDER BY instant) AS seconds FROM instants
),
measured AS (
SELECT
    CAST(coalesce(sum(captures), 0) AS BIGINT) AS captures,
    count(*) AS instants,
    CAST(max(instant) - min(instant) AS DOUBLE) / nullif(count(seconds), 0) AS mean_seconds,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS seconds,
    max(seconds) AS longest_seconds,
    max(instant) AS last_instant,
    min(first) AS first,
    max(last) AS last
FROM steps
),
newest AS (
SELECT CAST(date_part('epoch', date_trunc('second', max("timestamp"))) AS BIGINT) AS instant
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
)
SELECT
    measured.captures,
    measured.instants,
    measured.mean_seconds / 3600 AS mean_hours,
    CAST(measured.seconds[1] AS DOUBLE) / 3600 AS median_hours,
    CAST(measured.seconds[2] AS DOUBLE) / 3600 AS p95_hours,
    CAST(measured.longest_seconds AS DOUBLE) / 3600 AS longest_hours,
    measured.first,
    measured.last,
    CAST(newest.instant - measured.last_instant AS DOUBLE) / 86400 AS quiet_days
FROM measured
CROSS JOIN newest
ORDER BY measured.captures
