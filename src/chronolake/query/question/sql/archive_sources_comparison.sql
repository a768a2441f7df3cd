-- Compare the archive sources by what they answered and how much.
-- Two passes take less time than one: the first counts few groups by plain columns, where the one would test each row
-- for each count; the second tells domains apart and ranks sizes.
WITH answers AS (
SELECT
    archive_source,
    status_code,
    record_type,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source, status_code, record_type
),
counted AS (
SELECT
    archive_source,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(CASE WHEN status_code BETWEEN 200 AND 299 THEN captures ELSE 0 END) AS BIGINT) AS ok,
    CAST(sum(CASE WHEN status_code BETWEEN 300 AND 399 THEN captures ELSE 0 END) AS BIGINT) AS redirects,
    CAST(sum(CASE WHEN status_code BETWEEN 400 AND 499 THEN captures ELSE 0 END) AS BIGINT) AS client_errors,
    CAST(sum(CASE WHEN status_code BETWEEN 500 AND 599 THEN captures ELSE 0 END) AS BIGINT) AS server_errors,
    CAST(sum(CASE WHEN status_code IS NULL THEN captures ELSE 0 END) AS BIGINT) AS without_status,
    CAST(sum(CASE WHEN record_type = 'revisit' THEN captures ELSE 0 END) AS BIGINT) AS revisits,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    min(first) AS first,
    max(last) AS last
FROM answers
GROUP BY archive_source
),
measured AS (
SELECT
    archive_source,
    count(DISTINCT domain) AS domains,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY content_length) AS sizes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source
)
SELECT
    counted.archive_source,
    counted.captures,
    measured.domains,
    counted.ok,
    counted.redirects,
    counted.client_errors,
    counted.server_errors,
    counted.without_status,
    counted.revisits,
    counted.bytes,
    measured.sizes[1] AS median_bytes,
    measured.sizes[2] AS p95_bytes,
    counted.first,
    counted.last
FROM counted
JOIN measured ON measured.archive_source = counted.archive_source
ORDER BY counted.captures DESC, counted.archive_source
