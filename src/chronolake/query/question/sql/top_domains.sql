-- Find the domains with the most captures. The digest left out is the empty body's, which is no content.
-- Digests are counted for the domains that are found, not for all: to tell texts apart costs more than to count rows.
WITH top AS (
SELECT
    domain,
    count(*) AS captures,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY domain
ORDER BY captures DESC, domain
LIMIT $limit
),
contents AS (
SELECT
    domain,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND domain IN (SELECT domain FROM top)
GROUP BY domain
)
SELECT top.domain, top.captures, contents.digests, top.first, top.last
FROM top
JOIN contents ON contents.domain = top.domain
ORDER BY top.captures DESC, top.domain
