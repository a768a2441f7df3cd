-- Store a page, unless there is one of the capture.
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
ON CONFLICT (page_id) DO NOTHING
RETURNING page_id
