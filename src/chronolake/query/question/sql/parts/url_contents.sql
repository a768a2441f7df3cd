-- url_contents: the contents of a domain's URLs, each beside the one before. One instant of a URL with one digest counts
-- once, whichever archives and projects hold it. Digests of different algorithms are not compared. Redirects and errors
-- are no content, nor is the empty body, whose digest is left out.
WITH contents AS (
SELECT DISTINCT domain, url_key, digest_algorithm, digest, "timestamp"
FROM cdx_records
WHERE domain = $domain
    AND "timestamp" BETWEEN $start AND $end
    AND record_type IN ('response', 'resource', 'revisit')
    AND (COALESCE(status_code, 304) = 304 OR status_code NOT BETWEEN 300 AND 599)
    AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
url_contents AS (
SELECT
    domain,
    url_key,
    digest_algorithm,
    digest,
    "timestamp",
    lag(digest) OVER (PARTITION BY domain, url_key, digest_algorithm ORDER BY "timestamp", digest) AS digest_before
FROM contents
)
SELECT domain, url_key, digest_algorithm, digest, "timestamp", digest_before FROM url_contents
