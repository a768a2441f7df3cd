-- Sum up the captures of one domain. The digest left out is the empty body's, which is no content.
WITH counted AS (
SELECT
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT host) AS hosts,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE status_code BETWEEN 300 AND 399) AS redirects,
    count(*) FILTER (WHERE status_code BETWEEN 400 AND 499) AS client_errors,
    count(*) FILTER (WHERE status_code BETWEEN 500 AND 599) AS server_errors,
    count(*) FILTER (WHERE status_code IS NULL) AS without_status,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY content_length) AS sizes,
    min("timestamp") AS first,
    max("timestamp") AS last,
    count(DISTINCT CAST("timestamp" AS DATE)) AS active_days,
    count(DISTINCT archive_source) AS sources
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end
)
SELECT
    captures,
    urls,
    hosts,
    digests,
    ok,
    redirects,
    client_errors,
    server_errors,
    without_status,
    revisits,
    bytes,
    sizes[1] AS median_bytes,
    sizes[2] AS p95_bytes,
    first,
    last,
    active_days,
    sources
FROM counted
ORDER BY captures
