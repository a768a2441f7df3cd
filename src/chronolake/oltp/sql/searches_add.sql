-- Write down questions that were asked, each column an array; a project that is gone meanwhile is left out.
INSERT INTO search_history
    (project_id, project_count, question, query_text, engine, reason, error_class, rollups, elapsed_ms, rows, searched_at)
SELECT
    projects.id, asked.project_count, asked.question, asked.query_text, asked.engine, asked.reason, asked.error_class,
    asked.rollups, asked.elapsed_ms, asked.rows, asked.searched_at
FROM unnest(
    %(project_id)s::integer[], %(project_count)s::integer[], %(question)s::text[], %(query_text)s::text[],
    %(engine)s::text[], %(reason)s::text[], %(error_class)s::text[], %(rollups)s::text[],
    %(elapsed_ms)s::double precision[], %(rows)s::bigint[], %(searched_at)s::timestamp[]
) AS asked (
    project_id, project_count, question, query_text, engine, reason, error_class, rollups, elapsed_ms, rows, searched_at
)
LEFT JOIN projects ON projects.id = asked.project_id
