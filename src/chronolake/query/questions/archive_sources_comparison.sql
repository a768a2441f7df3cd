-- Compare the archive sources by what they answered and how much.
SELECT
    archive_source,
    count(*) AS captures,
    count(DISTINCT domain) AS domains,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE status_code BETWEEN 300 AND 399) AS redirects,
    count(*) FILTER (WHERE status_code BETWEEN 400 AND 499) AS client_errors,
    count(*) FILTER (WHERE status_code BETWEEN 500 AND 599) AS server_errors,
    count(*) FILTER (WHERE status_code IS NULL) AS without_status,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY content_length) AS median_bytes,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY content_length) AS p95_bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source
ORDER BY captures DESC, archive_source
