-- A page of every tenth capture; its figures come of a hash of the capture's id, so that they are the same each time.
INSERT INTO pages (
    page_id, project_id, batch_id, url, domain, content_hash, word_count, entity_count, language, quality_score,
    extraction_method, extraction_timestamp, date_captured
)
SELECT
    id,
    project_id,
    batch_id,
    url,
    domain,
    digest,
    40 + (hash / 10 % 3000)::integer,
    (hash / 7 % 40)::integer,
    (ARRAY['en', 'en', 'en', 'de', 'fr', 'nl', NULL])[1 + hash / 11 % 7],
    (hash / 13 % 1000)::real / 1000,
    (ARRAY['readability', 'readability', 'boilerplate'])[1 + hash / 17 % 3],
    timestamp + interval '1 day',
    timestamp::date
FROM (SELECT *, hashtextextended(id::text, 0) & 9007199254740991 AS hash FROM cdx_records) AS captures
WHERE hash % 10 = 0;
