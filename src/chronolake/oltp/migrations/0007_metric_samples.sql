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

ALTER PUBLICATION chronolake ADD TABLE metric_samples;
