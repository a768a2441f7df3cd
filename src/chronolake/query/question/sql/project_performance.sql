-- Count captures, domains and outcomes by period.
SELECT
    CAST(date_trunc($interval, "timestamp") AS DATE) AS period,
    count(*) AS captures,
    count(DISTINCT domain) AS domains,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE status_code BETWEEN 300 AND 399) AS redirects,
    count(*) FILTER (WHERE status_code BETWEEN 400 AND 499) AS client_errors,
    count(*) FILTER (WHERE status_code BETWEEN 500 AND 599) AS server_errors,
    count(*) FILTER (WHERE status_code IS NULL) AS without_status,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY 1
ORDER BY 1
