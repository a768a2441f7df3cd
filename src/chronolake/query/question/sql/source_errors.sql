-- Count the failures of each archive by period and kind; the share is of all attempts on it in the period.
WITH counted AS (
SELECT
    CAST(date_trunc($interval, requested_at AT TIME ZONE 'UTC') AS DATE) AS period,
    archive_source,
    outcome,
    count(*) AS attempts
FROM archive_request_attempts
WHERE
    requested_at >= CAST($start AS TIMESTAMP) AT TIME ZONE 'UTC'
    AND requested_at <= CAST($end AS TIMESTAMP) AT TIME ZONE 'UTC'
GROUP BY 1, 2, 3
),
shared AS (
SELECT
    period,
    archive_source,
    outcome,
    attempts,
    CAST(sum(attempts) OVER (PARTITION BY period, archive_source) AS DOUBLE) AS all_attempts
FROM counted
)
SELECT
    period,
    archive_source,
    outcome,
    attempts AS failures,
    attempts / all_attempts AS share
FROM shared
WHERE outcome NOT IN ('ok', 'empty')
ORDER BY period, archive_source, failures DESC, outcome
