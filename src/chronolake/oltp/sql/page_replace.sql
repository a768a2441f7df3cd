-- Store a page in the place of the one that there may be of the capture.
INSERT INTO pages (
    page_id, project_id, batch_id, url, domain, content_hash, word_count, entity_count, language, quality_score,
    extraction_method, extraction_timestamp, date_captured, title, text, simhash, mime_detected, charset, published,
    language_confidence, link_count, author, quality_reasons, links, truncated, payload_digest
)
VALUES (
    %(page_id)s, %(project_id)s, %(batch_id)s, %(url)s, %(domain)s, %(content_hash)s, %(word_count)s, %(entity_count)s,
    %(language)s, %(quality_score)s, %(extraction_method)s, %(extraction_timestamp)s, %(date_captured)s, %(title)s,
    %(text)s, %(simhash)s, %(mime_detected)s, %(charset)s, %(published)s, %(language_confidence)s, %(link_count)s,
    %(author)s, %(quality_reasons)s, %(links)s, %(truncated)s, %(payload_digest)s
)
ON CONFLICT (page_id) DO UPDATE SET
    project_id = excluded.project_id,
    batch_id = excluded.batch_id,
    url = excluded.url,
    domain = excluded.domain,
    content_hash = excluded.content_hash,
    word_count = excluded.word_count,
    entity_count = excluded.entity_count,
    language = excluded.language,
    quality_score = excluded.quality_score,
    extraction_method = excluded.extraction_method,
    extraction_timestamp = excluded.extraction_timestamp,
    date_captured = excluded.date_captured,
    title = excluded.title,
    text = excluded.text,
    simhash = excluded.simhash,
    mime_detected = excluded.mime_detected,
    charset = excluded.charset,
    published = excluded.published,
    language_confidence = excluded.language_confidence,
    link_count = excluded.link_count,
    author = excluded.author,
    quality_reasons = excluded.quality_reasons,
    links = excluded.links,
    truncated = excluded.truncated,
    payload_digest = excluded.payload_digest
RETURNING page_id
