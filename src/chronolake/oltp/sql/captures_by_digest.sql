-- By digest the first capture that holds the payload which revisits of its domain repeat.
-- Captures have no index by digest, for every capture would pay for it; so the domain's are looked through.
SELECT DISTINCT ON (c.digest)
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
    false AS decided
FROM cdx_records AS c
WHERE
    c.project_id = %(project_id)s
    AND c.domain = ANY(%(domains)s)
    AND c.digest = ANY(%(digests)s)
    AND c.record_type IN ('response', 'resource')
ORDER BY c.digest, c.timestamp, c.id
