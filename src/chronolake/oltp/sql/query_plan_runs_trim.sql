-- Let go of all but the newest runs of a plan.
DELETE FROM query_plan_runs
WHERE plan_id = %(plan_id)s AND ran_at < (
    SELECT ran_at FROM query_plan_runs WHERE plan_id = %(plan_id)s ORDER BY ran_at DESC OFFSET %(most)s - 1 LIMIT 1
)
