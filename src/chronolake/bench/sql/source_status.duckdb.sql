-- Count captures by archive source and status, with the 95th percentile of their size.
SELECT
    archive_source,
    status_code,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    quantile_disc(content_length, 0.95) AS p95_bytes
FROM cdx_records
GROUP BY archive_source, status_code
ORDER BY archive_source, status_code
