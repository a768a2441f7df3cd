-- Count all captures by month: by day first, which is quicker told than the month.
SELECT toStartOfMonth(day) AS month, sum(day_captures) AS captures, sum(day_bytes) AS bytes
FROM (
    SELECT toDate("timestamp") AS day, count() AS day_captures, sum(content_length) AS day_bytes
    FROM cdx_records
    GROUP BY day
) AS days
GROUP BY month
ORDER BY month
