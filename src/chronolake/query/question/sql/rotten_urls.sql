-- Find the URLs of a domain that died, the latest deaths first.
WITH dead AS (
SELECT DISTINCT ON (url_key) url_key, first_ok, last_ok, error_at AS dead_from, status_code
FROM url_evidence
WHERE error_at > last_ok
ORDER BY url_key, error_at, status_code
)
SELECT url_key, first_ok, last_ok, dead_from, status_code
FROM dead
ORDER BY dead_from DESC, url_key
LIMIT $limit
