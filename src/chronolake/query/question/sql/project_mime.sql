-- Count captures and their bytes by project and media type.
SELECT
    project_id,
    mime_type,
    count(*) AS captures,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY project_id, mime_type
ORDER BY project_id, captures DESC, mime_type NULLS LAST
