-- The plans of a question, or of all, that ran since a moment: how often, and the median of their times; newest first.
SELECT
    plans.shape, plans.engine, plans.fingerprint, plans.question, plans.asked, plans.steps, plans.first_at, plans.last_at,
    runs.count, runs.median_ms
FROM query_plans AS plans
CROSS JOIN LATERAL (
    SELECT count(*) AS count, percentile_cont(0.5) WITHIN GROUP (ORDER BY elapsed_ms) AS median_ms
    FROM query_plan_runs
    WHERE plan_id = plans.id
) AS runs
WHERE plans.last_at >= %(since)s AND (%(question)s::text IS NULL OR plans.question = %(question)s) AND runs.count > 0
ORDER BY plans.last_at DESC, plans.id DESC
LIMIT %(most)s
