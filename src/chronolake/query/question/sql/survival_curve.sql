-- Estimate the share of URLs that outlive each age, by Kaplan and Meier: URLs that go out of sight count while seen.
-- The product goes from age to age in one order, so that it is the same to the last bit wherever it is computed.
WITH RECURSIVE contents AS (
SELECT
    url_key,
    min("timestamp") FILTER (WHERE status_code BETWEEN 200 AND 299) AS first_ok,
    max("timestamp") FILTER (
        WHERE status_code BETWEEN 200 AND 299
        OR (
            record_type = 'revisit'
            AND COALESCE(status_code, 304) = 304
            AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
        )
    ) AS last_ok
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain) AND "timestamp" BETWEEN $start AND $end
GROUP BY url_key, digest
HAVING count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) > 0
),
evidence AS (
SELECT url_key, first_ok, last_ok, CAST(NULL AS TIMESTAMP) AS error_at
FROM contents
UNION ALL
SELECT
    url_key,
    CAST(NULL AS TIMESTAMP) AS first_ok,
    CAST(NULL AS TIMESTAMP) AS last_ok,
    "timestamp" AS error_at
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND "timestamp" BETWEEN $start AND $end
    AND status_code BETWEEN 400 AND 599
    AND status_code NOT IN (401, 403, 429)
),
seen AS (
SELECT
    url_key,
    min(first_ok) OVER (PARTITION BY url_key) AS first_ok,
    max(last_ok) OVER (PARTITION BY url_key) AS last_ok,
    error_at
FROM evidence
),
urls AS (
SELECT first_ok, last_ok, min(error_at) FILTER (WHERE error_at > last_ok) AS dead_from
FROM seen
WHERE last_ok IS NOT NULL
GROUP BY url_key, first_ok, last_ok
),
ends AS (
SELECT
    CAST(
        floor(
            CAST(CAST(COALESCE(dead_from, last_ok) AS DATE) - CAST(first_ok AS DATE) AS DOUBLE)
            / CAST(365.25 AS DOUBLE)
        ) AS INTEGER
    ) AS age_years,
    count(dead_from) AS died,
    count(*) - count(dead_from) AS censored
FROM urls
GROUP BY 1
),
ages AS (
SELECT
    age_years,
    CAST(sum(died + censored) OVER (ORDER BY age_years DESC) AS BIGINT) AS at_risk,
    died,
    censored,
    row_number() OVER (ORDER BY age_years) AS place
FROM ends
),
curve AS (
SELECT place, CAST(1 AS DOUBLE) - CAST(died AS DOUBLE) / CAST(at_risk AS DOUBLE) AS survival
FROM ages
WHERE place = 1
UNION ALL
SELECT
    ages.place,
    curve.survival * (CAST(1 AS DOUBLE) - CAST(ages.died AS DOUBLE) / CAST(ages.at_risk AS DOUBLE)) AS survival
FROM curve
JOIN ages ON ages.place = curve.place + 1
)
SELECT ages.age_years, ages.at_risk, ages.died, ages.censored, curve.survival
FROM ages
JOIN curve ON curve.place = ages.place
ORDER BY ages.age_years
