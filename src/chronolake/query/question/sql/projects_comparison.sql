-- Compare projects by their captures and pages. The digest left out is the empty body's, which is no content.
-- Scores are summed up as whole millionths: a sum of fractions depends on its order, which no engine promises.
WITH captured AS (
SELECT
    project_id,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    count(DISTINCT domain) AS domains,
    count(DISTINCT digest) FILTER (WHERE digest <> '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ') AS digests,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS ok,
    count(*) FILTER (WHERE status_code BETWEEN 400 AND 599) AS failed,
    count(*) FILTER (WHERE record_type = 'revisit') AS revisits,
    CAST(sum(content_length) AS BIGINT) AS bytes,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY project_id
),
scored AS (
SELECT
    project_id,
    CASE
        WHEN quality_score BETWEEN 0 AND 1
            THEN CAST(floor(CAST(quality_score AS DOUBLE) * 1000000 + 0.5) AS BIGINT)
    END AS millionths
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
),
extracted AS (
SELECT
    project_id,
    count(*) AS pages,
    CAST(sum(millionths) AS DOUBLE) / nullif(count(millionths), 0) / 1000000 AS mean_quality
FROM scored
GROUP BY project_id
)
SELECT
    projects.id AS project_id,
    projects.name AS project,
    coalesce(captured.captures, 0) AS captures,
    coalesce(captured.urls, 0) AS urls,
    coalesce(captured.domains, 0) AS domains,
    coalesce(captured.digests, 0) AS digests,
    coalesce(captured.ok, 0) AS ok,
    coalesce(captured.failed, 0) AS failed,
    coalesce(captured.revisits, 0) AS revisits,
    captured.bytes,
    coalesce(extracted.pages, 0) AS pages,
    extracted.mean_quality,
    captured.first,
    captured.last
FROM projects
LEFT JOIN captured ON captured.project_id = projects.id
LEFT JOIN extracted ON extracted.project_id = projects.id
ORDER BY captures DESC, project_id
