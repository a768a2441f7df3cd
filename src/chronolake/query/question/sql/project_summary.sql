-- Sum up captures: in all, by class of status, by media type, by month.
-- One pass serves the three sections. What is different is counted for the total alone: for every section it would
-- cost several times all the rest. The digest left out is the empty body's, which is no content.
WITH counted AS (
SELECT
    CASE
        WHEN status_code BETWEEN 100 AND 199 THEN '1xx'
        WHEN status_code BETWEEN 200 AND 299 THEN '2xx'
        WHEN status_code BETWEEN 300 AND 399 THEN '3xx'
        WHEN status_code BETWEEN 400 AND 499 THEN '4xx'
        WHEN status_code BETWEEN 500 AND 599 THEN '5xx'
        WHEN status_code IS NOT NULL THEN 'other'
    END AS status_class,
    mime_type,
    date_trunc('month', "timestamp") AS month,
    count(*) AS captures,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
GROUP BY 1, 2, 3
),
labelled AS (
SELECT 2 AS place, 'status' AS section, status_class AS label, captures, revisits, bytes, first, last FROM counted
UNION ALL
SELECT 3 AS place, 'mime_type' AS section, mime_type AS label, captures, revisits, bytes, first, last FROM counted
UNION ALL
SELECT 4 AS place, 'month' AS section, strftime(month, '%Y-%m') AS label, captures, revisits, bytes, first, last
FROM counted
),
lines AS (
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
    place,
    section,
    label,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(NULL AS BIGINT) AS urls,
    CAST(NULL AS BIGINT) AS domains,
    CAST(NULL AS BIGINT) AS digests,
    CAST(sum(revisits) AS BIGINT) AS revisits,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    min(first) AS first,
    max(last) AS last
FROM labelled
GROUP BY place, section, label
)
SELECT section, label, captures, urls, domains, digests, revisits, bytes, first, last
FROM lines
ORDER BY place, label NULLS LAST
