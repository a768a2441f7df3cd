-- What collecting from archives has to remember, so that it can go on after a kill.

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
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX archive_request_attempts_session_idx ON archive_request_attempts (session_id);

-- Where a project collects from.
ALTER TABLE projects ADD COLUMN archive_policy text COLLATE "C" NOT NULL DEFAULT 'wayback'
    CHECK (archive_policy IN ('wayback', 'commoncrawl', 'hybrid'));
