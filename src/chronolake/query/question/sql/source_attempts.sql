-- Count the requests to each archive by how they went.
-- A zero has no sign: which of two equal ones an engine takes is its own affair.
SELECT
    archive_source,
    outcome,
    count(*) AS attempts,
    CAST(count(*) AS DOUBLE) / CAST(sum(count(*)) OVER (PARTITION BY archive_source) AS DOUBLE) AS share,
    count(*) FILTER (WHERE retry > 0) AS retries,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) + CAST(0 AS DOUBLE) AS median_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) + CAST(0 AS DOUBLE) AS p95_ms,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    CAST(sum("rows") AS BIGINT) AS "rows"
FROM archive_request_attempts
WHERE
    requested_at >= CAST($start AS TIMESTAMP) AT TIME ZONE 'UTC'
    AND requested_at <= CAST($end AS TIMESTAMP) AT TIME ZONE 'UTC'
GROUP BY archive_source, outcome
ORDER BY archive_source, attempts DESC, outcome
