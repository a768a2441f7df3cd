-- Find the 20 domains with the most captures, with how many different contents they had.
SELECT domain, count(*) AS captures, count(DISTINCT digest) AS digests
FROM cdx_records
GROUP BY domain
ORDER BY captures DESC, domain
LIMIT 20
