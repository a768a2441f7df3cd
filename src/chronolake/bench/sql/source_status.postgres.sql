-- Count captures by archive source and status, with the 95th percentile of their size.
SELECT
    archive_source,
    status_code,
    count(*) AS captures,
    sum(content_length)::bigint AS bytes,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY content_length) AS p95_bytes
FROM cdx_records
GROUP BY archive_source, status_code
ORDER BY archive_source, status_code
