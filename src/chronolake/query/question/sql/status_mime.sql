-- Count captures by status and media type, where a revisit that lacks either takes it from what it repeats.
-- That is the last capture of the same URL and digest at or before the revisit, else the first after it, in whatever
-- time range; only captures that some revisit asks for are put in order.
WITH lacking AS (
SELECT
    domain,
    url_key,
    digest,
    "timestamp",
    status_code,
    NULLIF(mime_type, 'warc/revisit') AS mime_type,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND "timestamp" BETWEEN $start AND $end
    AND record_type = 'revisit'
    AND (status_code IS NULL OR COALESCE(mime_type, 'warc/revisit') = 'warc/revisit')
GROUP BY 1, 2, 3, 4, 5, 6
),
origins AS (
SELECT DISTINCT ON (domain, url_key, digest, "timestamp")
    domain,
    url_key,
    digest,
    "timestamp",
    status_code,
    mime_type
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND status_code IS NOT NULL
    AND mime_type <> 'warc/revisit'
    AND (domain, url_key, digest) IN (SELECT domain, url_key, digest FROM lacking WHERE digest IS NOT NULL)
ORDER BY domain, url_key, digest, "timestamp", status_code, mime_type
),
asked AS (
SELECT
    domain,
    url_key,
    digest,
    "timestamp",
    status_code,
    mime_type,
    captures,
    bytes,
    CAST(NULL AS TIMESTAMP) AS origin_time
FROM lacking
UNION ALL
SELECT
    domain,
    url_key,
    digest,
    "timestamp",
    status_code,
    mime_type,
    CAST(NULL AS BIGINT) AS captures,
    CAST(NULL AS BIGINT) AS bytes,
    "timestamp" AS origin_time
FROM origins
),
placed AS (
SELECT
    domain,
    url_key,
    digest,
    status_code,
    mime_type,
    captures,
    bytes,
    -- The number of the origin that is taken: the last one so far, or the first one where there is none yet.
    greatest(count(origin_time) OVER (PARTITION BY domain, url_key, digest ORDER BY "timestamp"), 1) AS origin_number
FROM asked
),
taken AS (
SELECT
    domain,
    status_code,
    mime_type,
    captures,
    bytes,
    max(CASE WHEN captures IS NULL THEN status_code END) OVER (PARTITION BY domain, url_key, digest, origin_number)
        AS origin_status,
    max(CASE WHEN captures IS NULL THEN mime_type END) OVER (PARTITION BY domain, url_key, digest, origin_number)
        AS origin_mime
FROM placed
),
counted AS (
SELECT
    status_code,
    mime_type,
    count(*) AS captures,
    0 AS resolved,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND "timestamp" BETWEEN $start AND $end
    AND NOT (
        record_type = 'revisit'
        AND (status_code IS NULL OR COALESCE(mime_type, 'warc/revisit') = 'warc/revisit')
    )
GROUP BY status_code, mime_type
UNION ALL
SELECT
    COALESCE(status_code, origin_status) AS status_code,
    COALESCE(mime_type, origin_mime) AS mime_type,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(CASE WHEN origin_status IS NULL THEN 0 ELSE captures END) AS BIGINT) AS resolved,
    CAST(sum(bytes) AS BIGINT) AS bytes
FROM taken
WHERE captures IS NOT NULL
GROUP BY 1, 2
)
SELECT
    status_code,
    mime_type,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(resolved) AS BIGINT) AS resolved,
    CAST(sum(bytes) AS BIGINT) AS bytes
FROM counted
GROUP BY status_code, mime_type
ORDER BY captures DESC, status_code NULLS LAST, mime_type NULLS LAST
