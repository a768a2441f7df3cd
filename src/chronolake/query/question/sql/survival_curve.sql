-- Estimate the share of URLs that outlive each age, by Kaplan and Meier: URLs that go out of sight count while seen.
-- The product goes from age to age in one order, so that it is the same to the last bit wherever it is computed.
WITH RECURSIVE ends AS (
SELECT
    CAST(
        floor(
            CAST(CAST(COALESCE(dead_from, last_ok) AS DATE) - CAST(first_ok AS DATE) AS DOUBLE)
            / CAST(365.25 AS DOUBLE)
        ) AS INTEGER
    ) AS age_years,
    count(dead_from) AS died,
    count(*) - count(dead_from) AS censored
FROM url_lives
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
