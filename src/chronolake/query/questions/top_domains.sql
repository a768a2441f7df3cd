-- Find the domains with the most captures. The digest left out is the empty body's, which is no content.
SELECT
    domain,
    count(*) AS captures,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY domain
ORDER BY captures DESC, domain
LIMIT $limit
