-- Follow the URLs first seen alive in each year: how many are alive, dead or out of sight, year by year.
WITH RECURSIVE lives AS (
SELECT
    CAST(EXTRACT(year FROM first_ok) AS INTEGER) AS cohort,
    CAST(EXTRACT(year FROM last_ok) AS INTEGER) AS last_year,
    CAST(EXTRACT(year FROM dead_from) AS INTEGER) AS dead_year,
    count(*) AS urls
FROM url_lives
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
