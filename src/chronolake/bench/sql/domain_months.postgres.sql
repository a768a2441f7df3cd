-- Count the captures of one domain by month.
SELECT
    date_trunc('month', "timestamp") AS month,
    count(*) AS captures,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    sum(content_length)::bigint AS bytes
FROM cdx_records
WHERE domain = %(domain)s
GROUP BY month
ORDER BY month
