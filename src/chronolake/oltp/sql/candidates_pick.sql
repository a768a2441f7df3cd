-- Captures of a project that may become pages, in the order of their index, after the one that was seen last.
SELECT
    c.id,
    c.project_id,
    c.archive_source,
    c.url,
    c.url_key,
    c.domain,
    c.timestamp,
    c.record_type,
    c.status_code,
    c.mime_type,
    c.mime_detected,
    c.charset,
    c.content_length,
    c.digest,
    c.digest_algorithm,
    c.truncated,
    c.warc_filename,
    c.warc_record_offset,
    c.crawl,
    d.capture_id IS NOT NULL AS decided
FROM cdx_records AS c
LEFT JOIN extraction_decisions AS d ON d.capture_id = c.id AND NOT d.overridden
WHERE
    c.project_id = %(project_id)s
    AND (%(domain)s::text IS NULL OR c.domain = %(domain)s)
    AND (%(archive_source)s::text IS NULL OR c.archive_source = %(archive_source)s)
    AND c.archive_source <> ALL(%(passed_over)s::text[])
    AND (%(first)s::timestamp IS NULL OR c.timestamp >= %(first)s)
    AND (%(last)s::timestamp IS NULL OR c.timestamp <= %(last)s)
    AND (
        %(after_domain)s::text IS NULL
        OR (c.domain, c.timestamp, c.id) > (%(after_domain)s::text, %(after_timestamp)s::timestamp, %(after_id)s::uuid)
    )
    AND (
        %(again)s
        OR (
            (d.capture_id IS NULL OR d.reason = ANY(%(included)s::text[]))
            AND NOT EXISTS (SELECT FROM pages AS p WHERE p.page_id = c.id)
            AND NOT EXISTS (SELECT FROM page_failures AS f WHERE f.capture_id = c.id)
        )
    )
ORDER BY c.domain, c.timestamp, c.id
LIMIT %(rows)s
