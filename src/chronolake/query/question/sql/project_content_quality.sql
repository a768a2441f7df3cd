-- Measure pages by language.
-- Scores are summed up as whole millionths: a sum of fractions depends on its order, which no engine promises.
WITH scored AS (
SELECT
    language,
    word_count,
    quality_score,
    CASE
        WHEN quality_score BETWEEN 0 AND 1
            THEN CAST(floor(CAST(quality_score AS DOUBLE) * 1000000 + 0.5) AS BIGINT)
    END AS millionths
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
)
SELECT
    language,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    count(millionths) AS scored,
    CAST(sum(millionths) AS DOUBLE) / nullif(count(millionths), 0) / 1000000 AS mean_quality,
    CAST(count(*) FILTER (WHERE quality_score >= 0 AND quality_score < 0.5) AS DOUBLE) / nullif(count(millionths), 0)
        AS low_quality_share
FROM scored
GROUP BY language
ORDER BY pages DESC, language NULLS LAST
