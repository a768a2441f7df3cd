-- Count all captures by month.
SELECT toStartOfMonth("timestamp") AS month, count() AS captures, sum(content_length) AS bytes
FROM cdx_records
GROUP BY month
ORDER BY month
