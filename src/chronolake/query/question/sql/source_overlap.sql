-- Count what each archive source alone has, and what others have too.
-- A content is a URL with a digest; the digest left out is the empty body's, which is no content. What one source alone
-- has is told by the group's only member, for windows over all URLs would take several times as long.
WITH held_urls AS (
SELECT domain, archive_source, url_key, count(*) AS captures
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY domain, archive_source, url_key
),
held_contents AS (
SELECT DISTINCT domain, archive_source, url_key, digest
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
facts AS (
SELECT domain, archive_source, captures, 1 AS urls, 0 AS only_urls, 0 AS contents, 0 AS only_contents
FROM held_urls
UNION ALL
SELECT domain, min(archive_source) AS archive_source, 0 AS captures, 0 AS urls, 1 AS only_urls, 0 AS contents, 0 AS only_contents
FROM held_urls
GROUP BY domain, url_key
HAVING count(*) = 1
UNION ALL
SELECT domain, archive_source, 0 AS captures, 0 AS urls, 0 AS only_urls, 1 AS contents, 0 AS only_contents
FROM held_contents
UNION ALL
SELECT domain, min(archive_source) AS archive_source, 0 AS captures, 0 AS urls, 0 AS only_urls, 0 AS contents, 1 AS only_contents
FROM held_contents
GROUP BY domain, url_key, digest
HAVING count(*) = 1
),
counted AS (
SELECT
    archive_source,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(urls) AS BIGINT) AS urls,
    CAST(sum(only_urls) AS BIGINT) AS only_urls,
    CAST(sum(contents) AS BIGINT) AS contents,
    CAST(sum(only_contents) AS BIGINT) AS only_contents
FROM facts
GROUP BY archive_source
)
SELECT
    archive_source,
    captures,
    urls,
    only_urls,
    urls - only_urls AS shared_urls,
    contents,
    only_contents,
    contents - only_contents AS shared_contents
FROM counted
ORDER BY captures DESC, archive_source
