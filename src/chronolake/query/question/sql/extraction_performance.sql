-- Compare the methods of extraction by what they made of pages.
-- Scores are summed up as whole millionths: a sum of fractions depends on its order, which no engine promises.
WITH counted AS (
SELECT
    extraction_method,
    count(*) AS pages,
    count(*) FILTER (WHERE word_count > 0) AS with_text,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY word_count) AS word_counts,
    CAST(sum(entity_count) AS BIGINT) AS entities,
    count(*) FILTER (WHERE language IS NOT NULL) AS with_language,
    count(*) FILTER (WHERE quality_score BETWEEN 0 AND 1) AS scored,
    CAST(
        sum(
            CASE
                WHEN quality_score BETWEEN 0 AND 1
                    THEN CAST(floor(CAST(quality_score AS DOUBLE) * 1000000 + 0.5) AS BIGINT)
            END
        ) AS BIGINT
    ) AS millionths,
    min(extraction_timestamp) AS first,
    max(extraction_timestamp) AS last
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY extraction_method
)
SELECT
    extraction_method,
    pages,
    with_text,
    CAST(with_text AS DOUBLE) / pages AS text_share,
    words,
    word_counts[1] AS median_words,
    word_counts[2] AS p95_words,
    entities,
    with_language,
    scored,
    CAST(millionths AS DOUBLE) / nullif(scored, 0) / 1000000 AS mean_quality,
    first,
    last
FROM counted
ORDER BY pages DESC, extraction_method NULLS LAST
