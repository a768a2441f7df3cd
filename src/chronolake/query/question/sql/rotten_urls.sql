-- Find the URLs of a domain that died, the latest deaths first. A URL died with the first error after it was alive.
WITH dead AS (
SELECT
    domain,
    url_key,
    first_ok,
    last_ok,
    error_at,
    status_code,
    row_number() OVER (PARTITION BY domain, url_key ORDER BY error_at, status_code) AS place
FROM url_evidence
WHERE error_at > last_ok
)
SELECT
    url_key,
    min(first_ok) AS first_ok,
    min(last_ok) AS last_ok,
    min(error_at) AS dead_from,
    min(status_code) AS status_code
FROM dead
WHERE place = 1
GROUP BY url_key
ORDER BY dead_from DESC, url_key
LIMIT $limit
