-- What the sync keeps equal between PostgreSQL and the lake, and what it notes of its own work.

-- Texts of synced tables sort by their bytes, as they do in the lake.
ALTER TABLE projects ALTER COLUMN name TYPE text COLLATE "C";
ALTER TABLE domains
    ALTER COLUMN domain TYPE text COLLATE "C",
    ALTER COLUMN registered_domain TYPE text COLLATE "C",
    ALTER COLUMN private_domain TYPE text COLLATE "C",
    ALTER COLUMN tld TYPE text COLLATE "C";

ALTER TABLE scrape_sessions
    ALTER COLUMN archive_source TYPE text COLLATE "C",
    ALTER COLUMN state TYPE text COLLATE "C",
    ADD COLUMN domain text COLLATE "C",
    ADD COLUMN started_at timestamptz,
    ADD COLUMN read bigint NOT NULL DEFAULT 0,
    ADD COLUMN stored bigint NOT NULL DEFAULT 0,
    ADD COLUMN duplicate bigint NOT NULL DEFAULT 0,
    ADD COLUMN rejected bigint NOT NULL DEFAULT 0;

-- In the lake's SQL the word `at` is reserved.
ALTER TABLE archive_request_attempts RENAME COLUMN at TO requested_at;
-- Since PostgreSQL 18 the constraint has a name, which would go on speaking of the old one.
ALTER TABLE archive_request_attempts ALTER COLUMN requested_at DROP NOT NULL;
ALTER TABLE archive_request_attempts
    ALTER COLUMN requested_at SET NOT NULL,
    ALTER COLUMN archive_source TYPE text COLLATE "C",
    ALTER COLUMN outcome TYPE text COLLATE "C",
    ADD COLUMN project_id integer REFERENCES projects (id),
    ADD COLUMN url text COLLATE "C",
    ADD COLUMN status_code integer,
    ADD COLUMN rows bigint,
    ADD COLUMN retry integer NOT NULL DEFAULT 0 CHECK (retry >= 0),
    ADD CHECK (outcome IN (
        'ok', 'empty', 'not_found', 'throttled', 'blocked', 'client_error', 'server_error', 'timeout', 'unreachable',
        'malformed', 'truncated', 'cancelled', 'not_sent'
    ));

CREATE INDEX archive_request_attempts_source_time_idx ON archive_request_attempts (archive_source, requested_at);

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
    searched_at timestamp without time zone NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC')
);

CREATE INDEX search_history_project_time_idx ON search_history (project_id, searched_at);

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
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The pieces in which a table is copied; null bounds are open.
CREATE TABLE sync_backfill_ranges (
    table_name text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    lower text,
    upper text,
    state text NOT NULL,
    rows bigint,
    file text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
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

-- A publication outlives the schema whose tables it named.
DROP PUBLICATION IF EXISTS chronolake;
-- What the sync reads from the WAL. Two tables have columns that must never leave PostgreSQL by this road, and so
-- list those that may: a new one is listed by the migration that adds it. All others are published whole, so that a
-- column added to them arrives by itself.
CREATE PUBLICATION chronolake FOR TABLE
    cdx_records,
    pages (
        page_id, project_id, batch_id, url, domain, content_hash, word_count, entity_count, language, quality_score,
        extraction_method, extraction_timestamp, date_captured
    ),
    page_entities,
    search_history,
    archive_request_attempts,
    scrape_sessions,
    projects (id, name, created_at),
    domains,
    sync_heartbeat;
