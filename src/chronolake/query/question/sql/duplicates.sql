-- Find the digests that were captured most often; the empty body, which is no content, comes last and apart.
-- Most digests are captured once: what is asked of groups leaves these out of what is kept by digest.
WITH counted AS (
SELECT digest, count(*) AS captures
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY digest
HAVING count(*) > 1 OR digest = '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
top AS (
SELECT digest
FROM counted
WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
ORDER BY captures DESC, digest
LIMIT $limit
),
shown AS (
SELECT digest FROM top
UNION ALL
SELECT '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ' AS digest
)
SELECT
    digest,
    digest = '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ' AS empty_body,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND digest IN (SELECT digest FROM shown)
GROUP BY digest
HAVING count(*) > 1 OR digest = '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
ORDER BY empty_body, captures DESC, digest
