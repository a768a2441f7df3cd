-- Tell what became of a domain's URLs from one time range to another.
-- Redirects and errors are no content. A URL's content in a range is its last digest there, the empty body's left out.
WITH ranges AS (
SELECT 1 AS number, CAST($start AS TIMESTAMP) AS begins, CAST($end AS TIMESTAMP) AS ends
UNION ALL
SELECT 2 AS number, CAST($other_start AS TIMESTAMP) AS begins, CAST($other_end AS TIMESTAMP) AS ends
),
contents AS (
SELECT
    url_key,
    "timestamp",
    NULLIF(digest, '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digest,
    digest_algorithm
FROM cdx_records
WHERE domain = $domain
    -- Both ranges and what lies between them, so that the rest need not be read.
    AND "timestamp" BETWEEN least(CAST($start AS TIMESTAMP), CAST($other_start AS TIMESTAMP))
        AND greatest(CAST($end AS TIMESTAMP), CAST($other_end AS TIMESTAMP))
    AND record_type IN ('response', 'resource', 'revisit')
    AND (COALESCE(status_code, 304) = 304 OR status_code NOT BETWEEN 300 AND 599)
),
placed AS (
SELECT
    contents.url_key,
    ranges.number,
    contents.digest,
    contents.digest_algorithm,
    row_number() OVER (
        PARTITION BY contents.url_key, ranges.number
        ORDER BY
            contents.digest IS NULL,
            contents."timestamp" DESC,
            contents.digest,
            contents.digest_algorithm NULLS LAST
    ) AS place
FROM contents
JOIN ranges ON contents."timestamp" BETWEEN ranges.begins AND ranges.ends
),
urls AS (
SELECT
    count(*) FILTER (WHERE number = 1) AS captures,
    count(*) FILTER (WHERE number = 2) AS other_captures,
    max(CASE WHEN number = 1 AND place = 1 THEN digest END) AS digest,
    max(CASE WHEN number = 2 AND place = 1 THEN digest END) AS other_digest,
    max(CASE WHEN number = 1 AND place = 1 THEN digest_algorithm END) AS algorithm,
    max(CASE WHEN number = 2 AND place = 1 THEN digest_algorithm END) AS other_algorithm
FROM placed
GROUP BY url_key
),
fates AS (
SELECT
    CASE
        WHEN other_captures = 0 THEN 'only_first'
        WHEN captures = 0 THEN 'only_second'
        WHEN digest IS NULL OR other_digest IS NULL OR algorithm IS DISTINCT FROM other_algorithm THEN 'undecidable'
        WHEN digest = other_digest THEN 'unchanged'
        ELSE 'changed'
    END AS fate,
    captures,
    other_captures
FROM urls
)
SELECT
    fate,
    count(*) AS urls,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(other_captures) AS BIGINT) AS other_captures
FROM fates
GROUP BY fate
ORDER BY fate
