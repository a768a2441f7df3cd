-- Tell what became of a domain's URLs from one time range to another.
-- Redirects and errors are no content. A URL's content in a range is its last digest there, the empty body's left out:
-- the last instant is found first, and then what it has, for to put all captures in order takes twice as long.
WITH ranges AS (
SELECT 1 AS number, CAST($start AS TIMESTAMP) AS begins, CAST($end AS TIMESTAMP) AS ends
UNION ALL
SELECT 2 AS number, CAST($other_start AS TIMESTAMP) AS begins, CAST($other_end AS TIMESTAMP) AS ends
),
contents AS (
SELECT
    url_key,
    "timestamp",
    -- A digest has no space in it. Without an algorithm comes last.
    CASE
        WHEN digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ' THEN digest || ' ' || COALESCE(digest_algorithm, '~')
    END AS content
FROM cdx_records
WHERE domain = $domain
    -- Both ranges and what lies between them, so that the rest need not be read.
    AND "timestamp" BETWEEN least(CAST($start AS TIMESTAMP), CAST($other_start AS TIMESTAMP))
        AND greatest(CAST($end AS TIMESTAMP), CAST($other_end AS TIMESTAMP))
    AND record_type IN ('response', 'resource', 'revisit')
    AND (COALESCE(status_code, 304) = 304 OR status_code NOT BETWEEN 300 AND 599)
),
placed AS (
SELECT contents.url_key, ranges.number, contents."timestamp", contents.content
FROM contents
JOIN ranges ON contents."timestamp" BETWEEN ranges.begins AND ranges.ends
),
counted AS (
SELECT
    url_key,
    count(*) FILTER (WHERE number = 1) AS captures,
    count(*) FILTER (WHERE number = 2) AS other_captures,
    max(CASE WHEN number = 1 AND content IS NOT NULL THEN "timestamp" END) AS last,
    max(CASE WHEN number = 2 AND content IS NOT NULL THEN "timestamp" END) AS other_last
FROM placed
GROUP BY url_key
),
lasts AS (
SELECT
    counted.url_key,
    min(CASE WHEN contents."timestamp" = counted.last THEN contents.content END) AS content,
    min(CASE WHEN contents."timestamp" = counted.other_last THEN contents.content END) AS other_content
FROM counted
JOIN contents ON contents.url_key = counted.url_key
WHERE contents."timestamp" = counted.last OR contents."timestamp" = counted.other_last
GROUP BY counted.url_key
),
fates AS (
SELECT
    CASE
        WHEN counted.other_captures = 0 THEN 'only_first'
        WHEN counted.captures = 0 THEN 'only_second'
        WHEN COALESCE(split_part(lasts.content, ' ', 2) <> split_part(lasts.other_content, ' ', 2), TRUE)
            THEN 'undecidable'
        WHEN lasts.content = lasts.other_content THEN 'unchanged'
        ELSE 'changed'
    END AS fate,
    counted.captures,
    counted.other_captures
FROM counted
LEFT JOIN lasts ON lasts.url_key = counted.url_key
)
SELECT
    fate,
    count(*) AS urls,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(other_captures) AS BIGINT) AS other_captures
FROM fates
GROUP BY fate
ORDER BY fate
