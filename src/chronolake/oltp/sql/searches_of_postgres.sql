-- What PostgreSQL answered since a moment without being asked for by name, by question, parameters and how many projects.
SELECT
    question, query_text, CASE WHEN project_count IS NOT NULL THEN least(project_count, 2) END, count(*), sum(elapsed_ms) / 1000
FROM search_history
WHERE searched_at >= %(since)s AND engine = 'postgres' AND reason <> 'asked' AND error_class IS NULL
    AND query_text IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 5 DESC
LIMIT %(most)s
