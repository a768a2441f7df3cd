-- Find the URLs of a domain whose content changed most often.
-- What is compared with what is as in the change rate.
WITH contents AS (
SELECT DISTINCT url_key, digest_algorithm, digest, "timestamp"
FROM cdx_records
WHERE domain = $domain
    AND "timestamp" BETWEEN $start AND $end
    AND record_type IN ('response', 'resource', 'revisit')
    AND (COALESCE(status_code, 304) = 304 OR status_code NOT BETWEEN 300 AND 599)
    AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
compared AS (
SELECT
    url_key,
    digest,
    "timestamp",
    lag(digest) OVER (PARTITION BY url_key, digest_algorithm ORDER BY "timestamp", digest) AS digest_before
FROM contents
)
SELECT
    url_key,
    count(*) AS captures,
    count(DISTINCT digest) AS versions,
    count(*) FILTER (WHERE digest <> digest_before) AS transitions,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM compared
GROUP BY url_key
ORDER BY transitions DESC, versions DESC, url_key
LIMIT $limit
