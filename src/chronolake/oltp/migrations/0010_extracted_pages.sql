-- What extraction says of a page, which captures it passed over and why, and which payloads gave no page.

ALTER TABLE pages
    ADD COLUMN simhash bigint,
    ADD COLUMN mime_detected text COLLATE "C",
    ADD COLUMN charset text COLLATE "C",
    ADD COLUMN published date,
    ADD COLUMN language_confidence real,
    ADD COLUMN link_count integer,
    ADD COLUMN author text COLLATE "C",
    ADD COLUMN quality_reasons jsonb,
    ADD COLUMN links text[] COLLATE "C",
    -- The archive kept only a part of what the page was read from.
    ADD COLUMN truncated boolean,
    -- The capture's digest, by which other captures of the same payload are known.
    ADD COLUMN payload_digest text COLLATE "C";

CREATE INDEX pages_project_digest_idx ON pages (project_id, payload_digest);
CREATE INDEX pages_project_content_idx ON pages (project_id, content_hash);

CREATE OR REPLACE VIEW content_analytics AS
SELECT
    page_id,
    project_id,
    batch_id,
    url,
    domain,
    content_hash,
    word_count,
    entity_count,
    language,
    quality_score,
    extraction_method,
    extraction_timestamp,
    date_captured,
    simhash,
    mime_detected,
    charset,
    published,
    language_confidence,
    link_count
FROM pages;

-- In one transaction, so that no change is decoded between the two.
ALTER PUBLICATION chronolake DROP TABLE pages;
ALTER PUBLICATION chronolake ADD TABLE pages (
    page_id, project_id, batch_id, url, domain, content_hash, word_count, entity_count, language, quality_score,
    extraction_method, extraction_timestamp, date_captured, simhash, mime_detected, charset, published,
    language_confidence, link_count
);

-- Payloads that gave no page. No foreign keys on the two tables below, as with pages.
CREATE TABLE page_failures (
    capture_id uuid PRIMARY KEY,
    project_id integer NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN (
        'unsupported', 'no_text', 'empty', 'too_large', 'too_deep', 'timeout', 'memory', 'malformed', 'encrypted',
        'crashed'
    )),
    detail text COLLATE "C" NOT NULL,
    -- How often it was tried.
    tries integer NOT NULL DEFAULT 1,
    failed_at timestamp without time zone NOT NULL
);

CREATE INDEX page_failures_project_idx ON page_failures (project_id, kind);

-- Captures that are to become no page, and why. An overridden decision stands for what was done in spite of it.
CREATE TABLE extraction_decisions (
    capture_id uuid PRIMARY KEY,
    project_id integer NOT NULL,
    reason text COLLATE "C" NOT NULL CHECK (reason IN (
        'record_type', 'revisit', 'empty', 'status', 'static_asset', 'mime', 'list_page', 'size', 'duplicate',
        'same_text', 'not_held', 'blocked', 'refused', 'unreadable', 'other_record', 'digest'
    )),
    detail text COLLATE "C" NOT NULL,
    decided_at timestamp without time zone NOT NULL,
    overridden boolean NOT NULL DEFAULT false
);

CREATE INDEX extraction_decisions_project_idx ON extraction_decisions (project_id, reason);
