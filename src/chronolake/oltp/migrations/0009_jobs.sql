-- Work that outlives the process that asked for it: collecting, exports, schedules.

-- The queue itself is a library's (procrastinate), whose own files lay its tables down; these of them are applied.
CREATE TABLE queue_migrations (
    name text COLLATE "C" PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE scrape_sessions
    DROP CONSTRAINT scrape_sessions_state_check,
    ADD CONSTRAINT scrape_sessions_state_check
        CHECK (state IN ('waiting', 'running', 'paused', 'done', 'failed', 'cancelled'));

ALTER TABLE scrape_progress
    -- What people want of the session; a run ends itself where it is not `run`.
    ADD COLUMN wanted text COLLATE "C" NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
    -- What ended the newest run early: type, message, hint, retry. Null: nothing did.
    ADD COLUMN error jsonb,
    -- Runs in a row that ended so and stored no page.
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    -- When a worker tries again; null: no time is set.
    ADD COLUMN next_at timestamptz,
    -- The latest capture that the archive gave; where the next session of a series begins.
    ADD COLUMN newest timestamp without time zone;

CREATE INDEX scrape_sessions_project_idx ON scrape_sessions (project_id, id);

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
