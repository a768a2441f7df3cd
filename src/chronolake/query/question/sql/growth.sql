-- Count the URLs of one domain by the period in which each was first captured.
-- URLs seen before the range are old ones: they are looked up without its start, and stand in the running sum.
WITH firsts AS (
SELECT url_key, min("timestamp") AS first
FROM cdx_records
WHERE domain = $domain AND "timestamp" <= $end
GROUP BY url_key
),
before AS (
SELECT count(*) AS urls FROM firsts WHERE first < $start
),
born AS (
SELECT CAST(date_trunc($interval, first) AS TIMESTAMP) AS period, count(*) AS urls
FROM firsts
WHERE first >= $start
GROUP BY 1
),
counted AS (
SELECT
    CAST(date_trunc($interval, "timestamp") AS TIMESTAMP) AS period,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY 1
)
SELECT
    CAST(counted.period AS DATE) AS period,
    counted.captures,
    counted.urls,
    coalesce(born.urls, 0) AS new_urls,
    CAST(before.urls + sum(coalesce(born.urls, 0)) OVER (ORDER BY counted.period) AS BIGINT) AS cumulative_urls
FROM counted
CROSS JOIN before
LEFT JOIN born ON born.period = counted.period
ORDER BY counted.period
