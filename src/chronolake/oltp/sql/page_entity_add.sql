-- Store an entity of a page.
INSERT INTO page_entities (
    page_id, project_id, batch_id, domain, kind, value, canonical, count, position, confidence, extractor,
    extraction_timestamp, date_captured
)
VALUES (
    %(page_id)s, %(project_id)s, %(batch_id)s, %(domain)s, %(kind)s, %(value)s, %(canonical)s, %(count)s, %(position)s,
    %(confidence)s, %(extractor)s, %(extraction_timestamp)s, %(date_captured)s
)
