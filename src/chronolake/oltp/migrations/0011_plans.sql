-- What engines did to answer, and whatever the optimizer changes beside rollups.

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

ALTER TABLE optimizer_log ADD COLUMN kind text NOT NULL DEFAULT 'rollup' CHECK (kind IN ('rollup', 'index', 'layout'));
ALTER TABLE optimizer_log ALTER COLUMN kind DROP DEFAULT;
-- Not renamed: servers since version 18 keep the old name in that of the constraint, older ones have none.
ALTER TABLE optimizer_log ADD COLUMN name text COLLATE "C";
UPDATE optimizer_log SET name = rollup;
ALTER TABLE optimizer_log ALTER COLUMN name SET NOT NULL;
ALTER TABLE optimizer_log DROP COLUMN rollup;
ALTER TABLE optimizer_log DROP CONSTRAINT optimizer_log_action_check;
ALTER TABLE optimizer_log ADD CONSTRAINT optimizer_log_action_check CHECK (action IN ('make', 'drop', 'change'));
