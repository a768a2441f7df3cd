-- Count, by period of a domain, how often a URL's content differed from the capture before.
-- One instant of a URL with one digest counts once, whichever archives and projects hold it. Digests of different
-- algorithms are not compared. Redirects and errors are no content, nor is the empty body, whose digest is left out.
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
    digest_algorithm,
    digest,
    "timestamp",
    lag(digest) OVER (PARTITION BY url_key, digest_algorithm ORDER BY "timestamp", digest) AS digest_before
FROM contents
),
timed AS (
SELECT
    url_key,
    "timestamp",
    digest_before,
    digest <> digest_before AS is_transition,
    max(CASE WHEN digest <> digest_before THEN "timestamp" END) OVER (
        PARTITION BY url_key, digest_algorithm
        ORDER BY "timestamp", digest
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS transition_before
FROM compared
)
SELECT
    CAST(date_trunc($interval, "timestamp") AS DATE) AS period,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(digest_before) AS comparisons,
    count(*) FILTER (WHERE is_transition) AS transitions,
    CAST(count(*) FILTER (WHERE is_transition) AS DOUBLE) / NULLIF(count(digest_before), 0) AS change_rate,
    percentile_disc(0.5) WITHIN GROUP (
        ORDER BY CASE WHEN is_transition THEN CAST("timestamp" AS DATE) - CAST(transition_before AS DATE) END
    ) AS median_days
FROM timed
GROUP BY 1
ORDER BY 1
