-- Find the longest times without a capture of one domain.
-- Seconds since 1970 are whole and exact on both engines; their difference is, too.
WITH steps AS (
SELECT
    lag("timestamp") OVER (ORDER BY "timestamp") AS last_before,
    "timestamp" AS first_after
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
),
measured AS (
SELECT
    last_before,
    first_after,
    CAST(date_part('epoch', date_trunc('second', first_after)) AS BIGINT)
    - CAST(date_part('epoch', date_trunc('second', last_before)) AS BIGINT) AS seconds
FROM steps
)
SELECT
    last_before,
    first_after,
    CAST(seconds // 86400 AS BIGINT) AS days
FROM measured
WHERE seconds >= CAST($min_days AS BIGINT) * 86400
ORDER BY seconds DESC, last_before
LIMIT $limit
