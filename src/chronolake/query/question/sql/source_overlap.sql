-- Count what each archive source alone has, and what others have too.
-- A content is a URL with a digest; the digest left out is the empty body's, which is no content.
WITH held_urls AS (
SELECT archive_source, url_key, count(*) AS captures
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY archive_source, url_key
),
placed_urls AS (
SELECT archive_source, captures, count(*) OVER (PARTITION BY url_key) AS sources FROM held_urls
),
urls AS (
SELECT
    archive_source,
    CAST(sum(captures) AS BIGINT) AS captures,
    count(*) AS urls,
    count(*) FILTER (WHERE sources = 1) AS only_urls
FROM placed_urls
GROUP BY archive_source
),
held_contents AS (
SELECT DISTINCT archive_source, url_key, digest
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
),
placed_contents AS (
SELECT archive_source, count(*) OVER (PARTITION BY url_key, digest) AS sources FROM held_contents
),
contents AS (
SELECT
    archive_source,
    count(*) AS contents,
    count(*) FILTER (WHERE sources = 1) AS only_contents
FROM placed_contents
GROUP BY archive_source
)
SELECT
    urls.archive_source,
    urls.captures,
    urls.urls,
    urls.only_urls,
    urls.urls - urls.only_urls AS shared_urls,
    coalesce(contents.contents, 0) AS contents,
    coalesce(contents.only_contents, 0) AS only_contents,
    coalesce(contents.contents - contents.only_contents, 0) AS shared_contents
FROM urls
LEFT JOIN contents ON contents.archive_source = urls.archive_source
ORDER BY urls.captures DESC, urls.archive_source
