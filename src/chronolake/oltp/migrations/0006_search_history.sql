-- What the search history tells, so that one can learn from it; and what the optimizer did about it.

ALTER TABLE search_history ADD COLUMN project_count integer;
ALTER TABLE search_history ADD COLUMN reason text COLLATE "C";
ALTER TABLE search_history ADD COLUMN error_class text COLLATE "C";
ALTER TABLE search_history ADD COLUMN rollups text COLLATE "C";

-- Old rows go by their time, and what was asked of late is counted by it.
CREATE INDEX search_history_time_idx ON search_history (searched_at);

-- What the optimizer changed, and how to make the same rollup again.
CREATE TABLE optimizer_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL CHECK (action IN ('make', 'drop')),
    automatic boolean NOT NULL,
    rollup text COLLATE "C" NOT NULL,
    asked text NOT NULL,
    why text NOT NULL,
    definition jsonb NOT NULL,
    figures jsonb NOT NULL DEFAULT '{}',
    undone_at timestamptz
);
