-- Sum up scrape sessions by state, with how long they took.
-- Seconds since 1970 are whole and exact on both engines; their difference is, too.
WITH timed AS (
SELECT
    state,
    "read",
    stored,
    duplicate,
    rejected,
    CAST(date_part('epoch', date_trunc('second', finished_at AT TIME ZONE 'UTC')) AS BIGINT)
    - CAST(date_part('epoch', date_trunc('second', started_at AT TIME ZONE 'UTC')) AS BIGINT) AS seconds
FROM scrape_sessions
WHERE
    created_at >= CAST($start AS TIMESTAMP) AT TIME ZONE 'UTC'
    AND created_at <= CAST($end AS TIMESTAMP) AT TIME ZONE 'UTC'
),
counted AS (
SELECT
    state,
    count(*) AS sessions,
    CAST(sum("read") AS BIGINT) AS captures_read,
    CAST(sum(stored) AS BIGINT) AS stored,
    CAST(sum(duplicate) AS BIGINT) AS duplicate,
    CAST(sum(rejected) AS BIGINT) AS rejected,
    count(seconds) AS ended,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS durations,
    CAST(sum(CASE WHEN seconds IS NOT NULL THEN "read" END) AS DOUBLE) / nullif(CAST(sum(seconds) AS DOUBLE), 0)
        AS read_per_second
FROM timed
GROUP BY state
)
SELECT
    state,
    sessions,
    captures_read AS "read",
    stored,
    duplicate,
    rejected,
    CAST(stored AS DOUBLE) / nullif(captures_read, 0) AS stored_share,
    ended,
    durations[1] AS median_seconds,
    durations[2] AS p95_seconds,
    read_per_second
FROM counted
ORDER BY sessions DESC, state
