-- Count, by period of a domain, how often a URL's content differed from the capture before.
WITH timed AS (
SELECT
    domain,
    url_key,
    "timestamp",
    digest_before,
    digest <> digest_before AS is_transition,
    max(CASE WHEN digest <> digest_before THEN "timestamp" END) OVER (
        PARTITION BY domain, url_key, digest_algorithm
        ORDER BY "timestamp", digest
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS transition_before
FROM url_contents
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
