-- Find the URLs of a domain that died, the latest deaths first.
-- What is alive and what dead is as in the link rot.
WITH contents AS (
SELECT
    url_key,
    min("timestamp") FILTER (WHERE status_code BETWEEN 200 AND 299) AS first_ok,
    max("timestamp") FILTER (
        WHERE status_code BETWEEN 200 AND 299
        OR (
            record_type = 'revisit'
            AND COALESCE(status_code, 304) = 304
            AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
        )
    ) AS last_ok
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY url_key, digest
HAVING count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) > 0
),
evidence AS (
SELECT url_key, first_ok, last_ok, CAST(NULL AS TIMESTAMP) AS error_at, CAST(NULL AS INTEGER) AS status_code
FROM contents
UNION ALL
SELECT
    url_key,
    CAST(NULL AS TIMESTAMP) AS first_ok,
    CAST(NULL AS TIMESTAMP) AS last_ok,
    "timestamp" AS error_at,
    status_code
FROM cdx_records
WHERE domain = $domain
    AND "timestamp" BETWEEN $start AND $end
    AND status_code BETWEEN 400 AND 599
    AND status_code NOT IN (401, 403, 429)
),
seen AS (
SELECT
    url_key,
    min(first_ok) OVER (PARTITION BY url_key) AS first_ok,
    max(last_ok) OVER (PARTITION BY url_key) AS last_ok,
    error_at,
    status_code
FROM evidence
),
dead AS (
SELECT DISTINCT ON (url_key) url_key, first_ok, last_ok, error_at AS dead_from, status_code
FROM seen
WHERE error_at > last_ok
ORDER BY url_key, error_at, status_code
)
SELECT url_key, first_ok, last_ok, dead_from, status_code
FROM dead
ORDER BY dead_from DESC, url_key
LIMIT $limit
