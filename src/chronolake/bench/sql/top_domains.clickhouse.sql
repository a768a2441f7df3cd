-- Find the 20 domains with the most captures, with how many different contents they had, which is asked of these alone.
SELECT domain, count() AS captures, uniqExact(digest) AS digests
FROM cdx_records
WHERE domain IN (
    SELECT domain
    FROM cdx_records
    GROUP BY domain
    ORDER BY count() DESC, domain
    LIMIT 20
)
GROUP BY domain
ORDER BY captures DESC, domain
