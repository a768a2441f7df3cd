-- Follow the URLs first seen alive in each year: how many are alive, dead or out of sight, year by year.
-- A revisit that has no status of its own shows what it repeats to be there still. Successes and errors meet in one
-- window and not in a join: a planner that guesses their number wrong would look at all of one for each of the other.
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
lives AS (
SELECT
    CAST(EXTRACT(year FROM first_ok) AS INTEGER) AS cohort,
    CAST(EXTRACT(year FROM last_ok) AS INTEGER) AS last_year,
    CAST(EXTRACT(year FROM dead_from) AS INTEGER) AS dead_year,
    count(*) AS urls
FROM urls
GROUP BY 1, 2, 3
),
years AS (
SELECT min(cohort) AS year, max(COALESCE(dead_year, last_year)) AS latest
FROM lives
UNION ALL
SELECT year + 1 AS year, latest
FROM years
WHERE year < latest
),
fates AS (
SELECT
    lives.cohort,
    years.year - lives.cohort AS age_years,
    CASE
        WHEN lives.dead_year <= years.year THEN 'dead'
        WHEN lives.last_year >= years.year THEN 'alive'
        ELSE 'unknown'
    END AS fate,
    lives.urls
FROM lives
JOIN years ON years.year >= lives.cohort
)
SELECT
    cohort,
    age_years,
    CAST(sum(urls) AS BIGINT) AS urls,
    CAST(sum(CASE WHEN fate = 'alive' THEN urls ELSE 0 END) AS BIGINT) AS alive,
    CAST(sum(CASE WHEN fate = 'dead' THEN urls ELSE 0 END) AS BIGINT) AS dead,
    CAST(sum(CASE WHEN fate = 'unknown' THEN urls ELSE 0 END) AS BIGINT) AS unknown,
    CAST(sum(CASE WHEN fate = 'dead' THEN urls ELSE 0 END) AS DOUBLE) / CAST(sum(urls) AS DOUBLE) AS death_rate
FROM fates
GROUP BY cohort, age_years
ORDER BY cohort, age_years
