-- Find the URLs of a domain whose content changed most often.
SELECT
    url_key,
    count(*) AS captures,
    count(DISTINCT digest) AS versions,
    count(*) FILTER (WHERE digest <> digest_before) AS transitions,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM url_contents
GROUP BY url_key
ORDER BY transitions DESC, versions DESC, url_key
LIMIT $limit
