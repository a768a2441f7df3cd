-- Measure pages by language.
-- Scores are summed up as whole millionths: a sum of fractions depends on its order, which no engine promises.
WITH counted AS (
SELECT
    language,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    count(*) FILTER (WHERE quality_score BETWEEN 0 AND 1) AS scored,
    CAST(
        sum(
            CASE
                WHEN quality_score BETWEEN 0 AND 1
                    THEN CAST(floor(CAST(quality_score AS DOUBLE) * 1000000 + 0.5) AS BIGINT)
            END
        ) AS BIGINT
    ) AS millionths,
    count(*) FILTER (WHERE quality_score >= 0 AND quality_score < 0.5) AS low
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY language
)
SELECT
    language,
    pages,
    words,
    median_words,
    scored,
    CAST(millionths AS DOUBLE) / nullif(scored, 0) / 1000000 AS mean_quality,
    CAST(low AS DOUBLE) / nullif(scored, 0) AS low_quality_share
FROM counted
ORDER BY pages DESC, language NULLS LAST
