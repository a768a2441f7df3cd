-- The schema as the migrations leave it, for readers; a test proves both equal. Schema: chronolake.

CREATE TABLE users (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    display_name text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    owner_id integer REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE domains (
    domain text PRIMARY KEY,
    registered_domain text,
    private_domain text,
    tld text,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scrape_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects (id),
    archive_source text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

CREATE TABLE archive_request_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint REFERENCES scrape_sessions (id),
    archive_source text NOT NULL,
    outcome text NOT NULL,
    latency_ms double precision,
    bytes bigint,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE imports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects (id),
    paths text[] NOT NULL,
    archive_source text,
    psl_version text NOT NULL,
    dual_write boolean NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    read bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    repaired bigint NOT NULL DEFAULT 0,
    rejected_by_reason jsonb NOT NULL DEFAULT '{}'
);

CREATE SEQUENCE batch_ids AS bigint;

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    import_id bigint NOT NULL REFERENCES imports (id),
    file text NOT NULL,
    position bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    raw bytea NOT NULL
);

CREATE INDEX quarantine_import_idx ON quarantine (import_id, id);

-- The lake's debts: each row is a batch whose staged file the committer carries to the lake.
CREATE TABLE ledger (
    batch_id bigint PRIMARY KEY,
    import_id bigint NOT NULL REFERENCES imports (id),
    table_name text NOT NULL,
    path text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    checksum text NOT NULL,
    message_lsn pg_lsn NOT NULL,
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_snapshot bigint,
    applied_at timestamptz
);

CREATE INDEX ledger_pending_idx ON ledger (message_lsn) WHERE applied_snapshot IS NULL;

-- Texts sort by their bytes, as they do in the lake.
-- No foreign keys on the two tables below: checking them row by row would cost bulk ingest more than its indexes.
CREATE TABLE cdx_records (
    id uuid PRIMARY KEY,
    project_id integer NOT NULL,
    batch_id bigint NOT NULL,
    archive_source text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    url_key text COLLATE "C" NOT NULL,
    given_url_key text COLLATE "C",
    host text COLLATE "C",
    domain text COLLATE "C" NOT NULL,
    registered_domain text COLLATE "C",
    private_domain text COLLATE "C",
    tld text COLLATE "C",
    timestamp timestamp without time zone NOT NULL,
    timestamp_raw text COLLATE "C",
    timestamp_repaired boolean NOT NULL,
    record_type text COLLATE "C" NOT NULL,
    status_code integer,
    mime_type text COLLATE "C",
    mime_detected text COLLATE "C",
    charset text COLLATE "C",
    languages text COLLATE "C",
    content_length bigint,
    digest text COLLATE "C",
    digest_algorithm text COLLATE "C",
    redirect_url text COLLATE "C",
    robot_flags text COLLATE "C",
    ip text COLLATE "C",
    truncated text COLLATE "C",
    warc_filename text COLLATE "C",
    warc_record_offset bigint,
    crawl text COLLATE "C",
    raw_line bytea
);

-- The order in which captures are read, and what a change carries about the row it changed.
CREATE UNIQUE INDEX cdx_records_domain_time_idx ON cdx_records (domain, timestamp, id);
ALTER TABLE cdx_records REPLICA IDENTITY USING INDEX cdx_records_domain_time_idx;
CREATE INDEX cdx_records_batch_idx ON cdx_records USING brin (batch_id);

CREATE TABLE pages (
    page_id uuid PRIMARY KEY,
    project_id integer NOT NULL,
    batch_id bigint NOT NULL,
    url text COLLATE "C" NOT NULL,
    domain text COLLATE "C" NOT NULL,
    content_hash text COLLATE "C",
    word_count integer,
    entity_count integer,
    language text COLLATE "C",
    quality_score real,
    extraction_method text COLLATE "C",
    extraction_timestamp timestamp without time zone NOT NULL,
    date_captured date NOT NULL,
    title text COLLATE "C",
    text text COLLATE "C"
);

CREATE UNIQUE INDEX pages_domain_time_idx ON pages (domain, extraction_timestamp, page_id);
ALTER TABLE pages REPLICA IDENTITY USING INDEX pages_domain_time_idx;
CREATE INDEX pages_batch_idx ON pages USING brin (batch_id);

CREATE VIEW content_analytics AS
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
    date_captured
FROM pages;

-- Which database this is, where one home serves several. One row, drawn once and never changed.
CREATE TABLE instance (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);

CREATE UNIQUE INDEX instance_one_row_idx ON instance ((true));

INSERT INTO instance DEFAULT VALUES;
