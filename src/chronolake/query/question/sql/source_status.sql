-- Count captures by archive source and status, with the size that 95 % of them do not exceed.
SELECT
    archive_source,
    status_code,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY content_length) AS p95_bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source, status_code
ORDER BY archive_source, status_code NULLS LAST
