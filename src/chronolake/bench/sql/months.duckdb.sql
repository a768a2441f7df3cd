-- Count all captures by month: by day first, which is quicker told than the month.
SELECT
    date_trunc('month', day) AS month,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(bytes) AS BIGINT) AS bytes
FROM (
    SELECT CAST("timestamp" AS DATE) AS day, count(*) AS captures, sum(content_length) AS bytes
    FROM cdx_records
    GROUP BY day
) AS days
GROUP BY month
ORDER BY month
