-- What each engine took for questions since a moment, the newest first, without what was kept or rolled up.
SELECT question, query_text, project_count IS NOT NULL, engine, elapsed_ms, extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - searched_at)::float8
FROM search_history
WHERE
    searched_at >= %(since)s
    AND reason IN ('analytic', 'cheaper', 'asked')
    AND error_class IS NULL
    AND query_text IS NOT NULL
    AND question <> 'sql'
ORDER BY searched_at DESC
LIMIT %(most)s
