-- The schema as the migrations leave it, for readers; a test proves both equal. Schema: chronolake.

CREATE TABLE users (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    display_name text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    owner_id integer REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Where its captures are collected from.
    archive_policy text COLLATE "C" NOT NULL DEFAULT 'wayback'
        CHECK (archive_policy IN ('wayback', 'commoncrawl', 'hybrid'))
);

CREATE TABLE domains (
    domain text COLLATE "C" PRIMARY KEY,
    registered_domain text COLLATE "C",
    private_domain text COLLATE "C",
    tld text COLLATE "C",
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scrape_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects (id),
    archive_source text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'paused', 'done', 'failed', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    domain text COLLATE "C",
    started_at timestamptz,
    read bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0
);

CREATE INDEX scrape_sessions_project_idx ON scrape_sessions (project_id, id);

-- How far a scrape session is. It moves in the transaction that stores what it speaks of; `scrape_sessions`, which the
-- stream brings to the lake, cannot: the stream does not show transactions whose rows are staged.
CREATE TABLE scrape_progress (
    session_id bigint PRIMARY KEY REFERENCES scrape_sessions (id) ON DELETE CASCADE,
    -- What is asked, and of whom, as the session began.
    archive jsonb NOT NULL,
    query jsonb NOT NULL,
    -- The import that works on it, or did last: whoever is not that import moves nothing here.
    import_id bigint,
    -- Where the next page begins; null: at the beginning.
    place text,
    ended boolean NOT NULL DEFAULT false,
    pages bigint NOT NULL DEFAULT 0,
    read bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    -- Captures that the archive gave and nobody asked for.
    outside bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What people want of the session; a run ends itself where it is not `run`.
    wanted text COLLATE "C" NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
    -- What ended the newest run early: type, message, hint, retry. Null: nothing did.
    error jsonb,
    -- Runs in a row that ended so and stored no page.
    failures integer NOT NULL DEFAULT 0,
    -- When a worker tries again; null: no time is set.
    next_at timestamptz,
    -- The latest capture that the archive gave; where the next session of a series begins.
    newest timestamp without time zone
);

CREATE TABLE archive_request_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint REFERENCES scrape_sessions (id),
    archive_source text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN (
        'ok', 'empty', 'not_found', 'throttled', 'blocked', 'client_error', 'server_error', 'timeout', 'unreachable',
        'malformed', 'truncated', 'cancelled', 'not_sent'
    )),
    latency_ms double precision,
    bytes bigint,
    requested_at timestamptz NOT NULL DEFAULT now(),
    project_id integer REFERENCES projects (id),
    url text COLLATE "C",
    status_code integer,
    rows bigint,
    retry integer NOT NULL DEFAULT 0 CHECK (retry >= 0)
);

CREATE INDEX archive_request_attempts_source_time_idx ON archive_request_attempts (archive_source, requested_at);
CREATE INDEX archive_request_attempts_session_idx ON archive_request_attempts (session_id);

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
-- It refers to nothing, so that no cascade takes what the lake is owed.
CREATE TABLE ledger (
    batch_id bigint PRIMARY KEY,
    import_id bigint NOT NULL,
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
    text text COLLATE "C",
    simhash bigint,
    mime_detected text COLLATE "C",
    charset text COLLATE "C",
    published date,
    language_confidence real,
    link_count integer,
    author text COLLATE "C",
    quality_reasons jsonb,
    links text[] COLLATE "C",
    -- The archive kept only a part of what the page was read from.
    truncated boolean,
    -- The capture's digest, by which other captures of the same payload are known.
    payload_digest text COLLATE "C"
);

CREATE UNIQUE INDEX pages_domain_time_idx ON pages (domain, extraction_timestamp, page_id);
ALTER TABLE pages REPLICA IDENTITY USING INDEX pages_domain_time_idx;
CREATE INDEX pages_batch_idx ON pages USING brin (batch_id);
CREATE INDEX pages_project_digest_idx ON pages (project_id, payload_digest);
CREATE INDEX pages_project_content_idx ON pages (project_id, content_hash);

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
    date_captured,
    simhash,
    mime_detected,
    charset,
    published,
    language_confidence,
    link_count
FROM pages;

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

-- Which database this is, where one home serves several. One row, drawn once and never changed.
CREATE TABLE instance (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);

CREATE UNIQUE INDEX instance_one_row_idx ON instance ((true));

INSERT INTO instance DEFAULT VALUES;

-- No foreign keys, as with pages: a page has dozens of entities.
CREATE TABLE page_entities (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    page_id uuid NOT NULL,
    project_id integer NOT NULL,
    batch_id bigint,
    domain text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN (
        'person', 'organisation', 'place', 'email', 'phone', 'url', 'hashtag', 'date', 'money'
    )),
    value text COLLATE "C" NOT NULL,
    canonical text COLLATE "C",
    count integer NOT NULL DEFAULT 1 CHECK (count > 0),
    position integer,
    confidence real,
    extractor text COLLATE "C" NOT NULL,
    extraction_timestamp timestamp without time zone NOT NULL,
    date_captured date NOT NULL
);

-- A page's entities are replaced together, so they are found by the page; and a change carries what tells the lake
-- in which files to look.
CREATE INDEX page_entities_page_idx ON page_entities (page_id);
CREATE UNIQUE INDEX page_entities_domain_time_idx ON page_entities (domain, extraction_timestamp, id);
ALTER TABLE page_entities REPLICA IDENTITY USING INDEX page_entities_domain_time_idx;
CREATE INDEX page_entities_batch_idx ON page_entities USING brin (batch_id);

CREATE TABLE search_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id integer REFERENCES projects (id),
    user_id integer REFERENCES users (id) ON DELETE SET NULL,
    question text COLLATE "C" NOT NULL,
    query_text text COLLATE "C",
    engine text COLLATE "C",
    elapsed_ms double precision,
    rows bigint,
    searched_at timestamp without time zone NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
    project_count integer,
    reason text COLLATE "C",
    error_class text COLLATE "C",
    rollups text COLLATE "C"
);

CREATE INDEX search_history_project_time_idx ON search_history (project_id, searched_at);
-- Old rows go by their time, and what was asked of late is counted by it.
CREATE INDEX search_history_time_idx ON search_history (searched_at);

-- A way that an engine took for questions of one shape, as steps. `fingerprint` is the same for equal steps.
CREATE TABLE query_plans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shape text COLLATE "C" NOT NULL,
    engine text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    question text COLLATE "C" NOT NULL,
    asked text COLLATE "C" NOT NULL,
    steps jsonb NOT NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (shape, engine, fingerprint)
);

CREATE INDEX query_plans_time_idx ON query_plans (last_at);

-- How long it took, each time that it was looked at.
CREATE TABLE query_plan_runs (
    plan_id bigint NOT NULL REFERENCES query_plans (id) ON DELETE CASCADE,
    elapsed_ms double precision NOT NULL,
    ran_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX query_plan_runs_plan_time_idx ON query_plan_runs (plan_id, ran_at);

-- What the optimizer changed, and how to take it back or make it again.
CREATE TABLE optimizer_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL CHECK (action IN ('make', 'drop', 'change')),
    automatic boolean NOT NULL,
    asked text NOT NULL,
    why text NOT NULL,
    definition jsonb NOT NULL,
    -- What was known of it before: of a proposal its estimates, of a rollup its cells and bytes.
    figures jsonb NOT NULL DEFAULT '{}',
    undone_at timestamptz,
    kind text NOT NULL CHECK (kind IN ('rollup', 'index', 'layout')),
    name text COLLATE "C" NOT NULL
);

-- Touched at a steady pace, so that a quiet database still moves the sync's place in the WAL on.
CREATE TABLE sync_heartbeat (
    id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    beat_at timestamptz NOT NULL
);

INSERT INTO sync_heartbeat (beat_at) VALUES (clock_timestamp());

-- How far each synced table is. Its states are the sync's own words.
CREATE TABLE sync_tables (
    table_name text COLLATE "C" PRIMARY KEY,
    state text NOT NULL,
    synced_from_lsn pg_lsn,
    epoch text,
    last_error text,
    hint text,
    ranges_total integer,
    ranges_done integer NOT NULL DEFAULT 0,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_estimate bigint,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Changes before it may be in the copy already.
    careful_lsn pg_lsn,
    -- Staged batches whose rows are in the copy.
    copied_batches bigint[] NOT NULL DEFAULT '{}',
    -- The table's file when its ranges were drawn: whoever rewrites the table moves its rows to other blocks.
    filenode oid,
    -- The columns that its copied ranges have: where they are others since, those ranges are of no use.
    copied_shape text
);

-- The pieces in which a table is copied, as blocks of the table's file; null bounds are open.
CREATE TABLE sync_backfill_ranges (
    table_name text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    lower text,
    upper text,
    state text NOT NULL,
    rows bigint,
    file text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Where the snapshot lay that the range was copied from.
    lsn pg_lsn,
    PRIMARY KEY (table_name, number)
);

-- Changes that the lake could not take. `payload` is the change as it was understood, `raw` its bytes as they came:
-- a value that cannot be read is why it lies here, as often as not.
CREATE TABLE sync_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text COLLATE "C" NOT NULL,
    key text,
    change_kind text NOT NULL CHECK (change_kind IN ('insert', 'update', 'delete', 'truncate')),
    epoch text,
    lsn pg_lsn NOT NULL,
    commit_at timestamptz,
    reason text NOT NULL,
    payload jsonb,
    raw bytea,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'dismissed')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz
);

CREATE INDEX sync_dead_letters_open_idx ON sync_dead_letters (table_name, id) WHERE state = 'open';

-- What metrics were, so that one can ask how they changed.
CREATE TABLE metric_samples (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sampled_at timestamp without time zone NOT NULL,
    process text COLLATE "C" NOT NULL,
    metric text COLLATE "C" NOT NULL,
    labels text COLLATE "C" NOT NULL,
    value double precision NOT NULL
);

CREATE INDEX metric_samples_metric_time_idx ON metric_samples (metric, sampled_at);
-- Old rows go by their time alone.
CREATE INDEX metric_samples_time_idx ON metric_samples USING brin (sampled_at);

-- The job queue itself is a library's (procrastinate), whose own files lay its tables down; these of them are applied.
CREATE TABLE queue_migrations (
    name text COLLATE "C" PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Collecting that comes again and again.
CREATE TABLE collect_schedules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects (id),
    -- The archive that was named; null: the project's policy chooses.
    archive jsonb,
    query jsonb NOT NULL,
    -- A duration (`6h`, `1d`) or five cron fields, in UTC.
    every text COLLATE "C" NOT NULL,
    -- Whether a run asks only for what is newer than the last one that ended.
    incremental boolean NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    last_session_id bigint REFERENCES scrape_sessions (id) ON DELETE SET NULL,
    -- Why the newest tick came to nothing: type, message, hint, retry. Null: it did not.
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX collect_schedules_due_idx ON collect_schedules (next_at) WHERE NOT paused;

-- Exports that were asked for over HTTP. The file of one lies in `exports` in the home, under its id.
CREATE TABLE exports (
    id uuid PRIMARY KEY,
    what text COLLATE "C" NOT NULL,
    params jsonb NOT NULL,
    format text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    -- Which run writes it: an older one that was thought dead moves nothing here.
    run integer NOT NULL DEFAULT 0,
    -- Runs in a row that failed.
    failures integer NOT NULL DEFAULT 0,
    share double precision,
    rows bigint,
    bytes bigint,
    as_of_lsn pg_lsn,
    lag_s double precision,
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);

CREATE INDEX exports_finished_idx ON exports (finished_at);

-- What the sync reads from the WAL. Two tables have columns that must never leave PostgreSQL by this road, and so
-- list those that may: a new one is listed by the migration that adds it. All others are published whole, so that a
-- column added to them arrives by itself.
CREATE PUBLICATION chronolake FOR TABLE
    cdx_records,
    pages (
        page_id, project_id, batch_id, url, domain, content_hash, word_count, entity_count, language, quality_score,
        extraction_method, extraction_timestamp, date_captured, simhash, mime_detected, charset, published,
        language_confidence, link_count
    ),
    page_entities,
    search_history,
    archive_request_attempts,
    scrape_sessions,
    projects (id, name, created_at),
    domains,
    sync_heartbeat,
    metric_samples;
