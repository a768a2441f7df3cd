-- Sum up captures: in all, by class of status, by media type, by month.
-- The digest left out is the empty body's, which is no content.
WITH lines AS (
SELECT
    1 AS place,
    'total' AS section,
    CAST(NULL AS VARCHAR) AS label,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT registered_domain) AS domains,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
UNION ALL
SELECT
    2 AS place,
    'status' AS section,
    CASE
        WHEN status_code BETWEEN 100 AND 199 THEN '1xx'
        WHEN status_code BETWEEN 200 AND 299 THEN '2xx'
        WHEN status_code BETWEEN 300 AND 399 THEN '3xx'
        WHEN status_code BETWEEN 400 AND 499 THEN '4xx'
        WHEN status_code BETWEEN 500 AND 599 THEN '5xx'
        WHEN status_code IS NOT NULL THEN 'other'
    END AS label,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT registered_domain) AS domains,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
GROUP BY 3
UNION ALL
SELECT
    3 AS place,
    'mime_type' AS section,
    mime_type AS label,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT registered_domain) AS domains,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
GROUP BY 3
UNION ALL
SELECT
    4 AS place,
    'month' AS section,
    strftime("timestamp", '%Y-%m') AS label,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT registered_domain) AS domains,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
GROUP BY 3
)
SELECT section, label, captures, urls, domains, digests, revisits, bytes, first, last
FROM lines
ORDER BY place, label NULLS LAST
