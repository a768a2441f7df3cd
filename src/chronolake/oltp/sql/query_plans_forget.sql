-- Let go of plans that no engine has taken since a moment, and with them of their runs.
DELETE FROM query_plans
WHERE id = ANY(ARRAY(SELECT id FROM query_plans WHERE last_at < %(before)s ORDER BY last_at LIMIT %(most)s))
