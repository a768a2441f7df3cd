-- Count captures by period and archive source.
SELECT
    CAST(date_trunc($interval, "timestamp") AS DATE) AS period,
    archive_source,
    count(*) AS captures,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY 1, 2
ORDER BY 1, 2
