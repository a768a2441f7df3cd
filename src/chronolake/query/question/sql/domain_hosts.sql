-- Count the captures of one domain by host.
SELECT
    host,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY host
ORDER BY captures DESC, host NULLS LAST
LIMIT $limit
