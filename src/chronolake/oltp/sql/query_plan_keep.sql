-- Note that an engine took that way once more; a new one if it never did.
WITH kept AS (
    INSERT INTO query_plans AS held (shape, engine, fingerprint, question, asked, steps)
    VALUES (%(shape)s, %(engine)s, %(fingerprint)s, %(question)s, %(asked)s, %(steps)s)
    ON CONFLICT (shape, engine, fingerprint)
        DO UPDATE SET steps = excluded.steps, asked = excluded.asked, last_at = clock_timestamp()
    RETURNING id
)
INSERT INTO query_plan_runs (plan_id, elapsed_ms) SELECT id, %(elapsed_ms)s FROM kept RETURNING plan_id
