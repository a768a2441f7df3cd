-- Count the captures of one domain by period.
SELECT
    CAST(date_trunc($interval, "timestamp") AS TIMESTAMP) AS period,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE status_code BETWEEN 400 AND 599) AS failed,
    CAST(count(*) FILTER (WHERE status_code BETWEEN 400 AND 599) AS DOUBLE) / nullif(count(status_code), 0) AS error_rate,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
GROUP BY 1
ORDER BY 1
