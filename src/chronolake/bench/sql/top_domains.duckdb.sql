-- Find the 20 domains with the most captures, with how many different contents they had, which is asked of these alone.
WITH most AS (
    SELECT domain, count(*) AS captures
    FROM cdx_records
    GROUP BY domain
    ORDER BY captures DESC, domain
    LIMIT 20
)
SELECT most.domain, any_value(most.captures) AS captures, count(DISTINCT of_most.digest) AS digests
FROM cdx_records AS of_most JOIN most ON most.domain = of_most.domain
GROUP BY most.domain
ORDER BY captures DESC, most.domain
