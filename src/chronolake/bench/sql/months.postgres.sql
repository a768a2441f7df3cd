-- Count all captures by month.
SELECT date_trunc('month', "timestamp") AS month, count(*) AS captures, sum(content_length)::bigint AS bytes
FROM cdx_records
GROUP BY month
ORDER BY month
