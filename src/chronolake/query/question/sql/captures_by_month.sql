-- Count captures by period.
SELECT
    CAST(date_trunc($interval, "timestamp") AS DATE) AS period,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY 1
ORDER BY 1
