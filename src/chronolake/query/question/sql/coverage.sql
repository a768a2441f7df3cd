-- Lay out a calendar from a domain's first capture to its last, empty periods included.
-- An interval of time knows no quarter in PostgreSQL. Empty periods that follow one another have as many captured ones
-- before them, and are counted together by that, less the last captured one. Without a filter: with one, DuckDB counts
-- a partition anew for each of its rows, and one capture that bears a wrong year makes partitions of many thousand.
WITH counted AS (
SELECT
    CAST(date_trunc($interval, "timestamp") AS TIMESTAMP) AS period,
    count(*) AS captures,
    count(DISTINCT CAST("timestamp" AS DATE)) AS active_days
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY 1
),
bounds AS (
SELECT min(period) AS first, max(period) AS last FROM counted
),
calendar AS (
SELECT steps.period
FROM
    bounds,
    generate_series(
        bounds.first,
        bounds.last,
        CAST(CASE WHEN $interval = 'quarter' THEN '3 month' ELSE '1 ' || $interval END AS INTERVAL)
    ) AS steps(period)
),
laid_out AS (
SELECT
    calendar.period,
    coalesce(counted.captures, 0) AS captures,
    coalesce(counted.active_days, 0) AS active_days,
    count(counted.period) OVER (ORDER BY calendar.period) AS captured_before
FROM calendar
LEFT JOIN counted ON counted.period = calendar.period
),
measured AS (
SELECT
    period,
    captures,
    active_days,
    count(*) OVER (PARTITION BY captured_before) - 1 AS empty_run
FROM laid_out
)
SELECT
    CAST(period AS DATE) AS period,
    captures,
    active_days,
    CASE WHEN captures = 0 THEN empty_run ELSE 0 END AS gap_periods,
    max(empty_run) OVER () AS longest_gap_periods
FROM measured
ORDER BY period
LIMIT $limit
