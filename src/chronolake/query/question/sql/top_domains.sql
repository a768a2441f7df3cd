-- Find the foremost domains. The digest left out is the empty body's, which is no content.
-- To tell texts apart costs more than to count rows: URLs are told apart only where they rank domains, and digests for
-- the domains that are found.
WITH ranked_urls AS (
SELECT domain, count(*) AS urls
FROM (
SELECT DISTINCT domain, url_key FROM cdx_records WHERE $by = 'urls' AND "timestamp" BETWEEN $start AND $end
) AS pairs
GROUP BY domain
),
counted AS (
SELECT
    domain,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    CAST(count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS DOUBLE) / nullif(count(status_code), 0)
        AS success_rate,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY domain
),
top AS (
SELECT
    counted.domain,
    counted.captures,
    counted.bytes,
    counted.success_rate,
    counted.first,
    counted.last,
    ranked_urls.urls,
    CASE WHEN $by = 'bytes' THEN counted.bytes END AS by_bytes,
    CASE WHEN $by = 'success_rate' THEN counted.success_rate END AS by_success_rate
FROM counted
LEFT JOIN ranked_urls ON ranked_urls.domain = counted.domain
ORDER BY
    ranked_urls.urls DESC NULLS LAST,
    by_bytes DESC NULLS LAST,
    by_success_rate DESC NULLS LAST,
    counted.captures DESC,
    counted.domain
LIMIT $limit
),
contents AS (
SELECT
    domain,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND domain IN (SELECT domain FROM top)
GROUP BY domain
)
SELECT
    top.domain,
    top.captures,
    top.urls,
    contents.digests,
    top.bytes,
    top.success_rate,
    top.first,
    top.last
FROM top
JOIN contents ON contents.domain = top.domain
ORDER BY
    top.urls DESC NULLS LAST,
    top.by_bytes DESC NULLS LAST,
    top.by_success_rate DESC NULLS LAST,
    top.captures DESC,
    top.domain
