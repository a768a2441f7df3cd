-- url_evidence: what tells of each URL's life: when it was first and last seen alive, beside each error after which it
-- may be dead. A revisit that has no status of its own shows what it repeats to be there still. Successes and errors meet
-- in one window and not in a join: a planner that guesses their number wrong would look at all of one for each of the
-- other.
WITH successes AS (
SELECT
    domain,
    url_key,
    min("timestamp") FILTER (WHERE status_code BETWEEN 200 AND 299) AS first_ok,
    max("timestamp") FILTER (
        WHERE status_code BETWEEN 200 AND 299
        OR (
            record_type = 'revisit'
            AND COALESCE(status_code, 304) = 304
            AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
        )
    ) AS last_ok
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain) AND "timestamp" BETWEEN $start AND $end
GROUP BY domain, url_key, digest
HAVING count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) > 0
),
successes_and_errors AS (
SELECT
    domain,
    url_key,
    first_ok,
    last_ok,
    CAST(NULL AS TIMESTAMP) AS error_at,
    CAST(NULL AS INTEGER) AS status_code
FROM successes
UNION ALL
SELECT
    domain,
    url_key,
    CAST(NULL AS TIMESTAMP) AS first_ok,
    CAST(NULL AS TIMESTAMP) AS last_ok,
    "timestamp" AS error_at,
    status_code
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND "timestamp" BETWEEN $start AND $end
    AND status_code BETWEEN 400 AND 599
    AND status_code NOT IN (401, 403, 429)
),
url_evidence AS (
SELECT
    domain,
    url_key,
    min(first_ok) OVER (PARTITION BY domain, url_key) AS first_ok,
    max(last_ok) OVER (PARTITION BY domain, url_key) AS last_ok,
    error_at,
    status_code
FROM successes_and_errors
)
SELECT domain, url_key, first_ok, last_ok, error_at, status_code FROM url_evidence
