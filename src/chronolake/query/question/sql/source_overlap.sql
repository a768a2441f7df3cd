-- Count what each archive source alone has, and what others have too.
-- A content is a URL with a digest; the digest left out is the empty body's, which is no content. What one source alone
-- has is told by the group's only member, for windows over all URLs would take several times as long.
WITH held_urls AS (
SELECT archive_source, url_key, count(*) AS captures
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source, url_key
),
urls AS (
SELECT archive_source, CAST(sum(captures) AS BIGINT) AS captures, count(*) AS urls
FROM held_urls
GROUP BY archive_source
),
lone_urls AS (
SELECT min(archive_source) AS archive_source FROM held_urls GROUP BY url_key HAVING count(*) = 1
),
only_urls AS (
SELECT archive_source, count(*) AS urls FROM lone_urls GROUP BY archive_source
),
held_contents AS (
SELECT DISTINCT archive_source, url_key, digest
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
contents AS (
SELECT archive_source, count(*) AS contents FROM held_contents GROUP BY archive_source
),
lone_contents AS (
SELECT min(archive_source) AS archive_source FROM held_contents GROUP BY url_key, digest HAVING count(*) = 1
),
only_contents AS (
SELECT archive_source, count(*) AS contents FROM lone_contents GROUP BY archive_source
)
SELECT
    urls.archive_source,
    urls.captures,
    urls.urls,
    coalesce(only_urls.urls, 0) AS only_urls,
    urls.urls - coalesce(only_urls.urls, 0) AS shared_urls,
    coalesce(contents.contents, 0) AS contents,
    coalesce(only_contents.contents, 0) AS only_contents,
    coalesce(contents.contents, 0) - coalesce(only_contents.contents, 0) AS shared_contents
FROM urls
LEFT JOIN only_urls ON only_urls.archive_source = urls.archive_source
LEFT JOIN contents ON contents.archive_source = urls.archive_source
LEFT JOIN only_contents ON only_contents.archive_source = urls.archive_source
ORDER BY urls.captures DESC, urls.archive_source
