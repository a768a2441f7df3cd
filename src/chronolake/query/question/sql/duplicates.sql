-- Find the digests that were captured most often; the empty body, which is no content, comes last and apart.
WITH top AS (
SELECT digest, count(*) AS captures
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
GROUP BY digest
HAVING count(*) > 1
ORDER BY captures DESC, digest
LIMIT $limit
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
WHERE
    "timestamp" BETWEEN $start AND $end
    AND (digest IN (SELECT digest FROM top) OR digest = '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ')
GROUP BY digest
ORDER BY empty_body, captures DESC, digest
