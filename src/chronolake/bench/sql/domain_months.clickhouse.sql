-- Count the captures of one domain by month.
SELECT
    toStartOfMonth("timestamp") AS month,
    count() AS captures,
    countIf(status_code BETWEEN 200 AND 299) AS ok,
    countIf(record_type = 'revisit') AS revisits,
    sum(content_length) AS bytes
FROM cdx_records
WHERE domain = {domain:String}
GROUP BY month
ORDER BY month
