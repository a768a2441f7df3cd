-- Count all captures by month.
SELECT date_trunc('month', "timestamp") AS month, count(*) AS captures, CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
GROUP BY month
ORDER BY month
