-- Sort pages into tenths of the quality scale; pages without a score, or with one off the scale, come last.
-- The product is of single precision, as the score is: 0.7 times 10 is 7 there, and less than 7 in double.
SELECT
    CASE
        WHEN quality_score BETWEEN 0 AND 1 THEN least(CAST(floor(quality_score * CAST(10 AS REAL)) AS INTEGER), 9)
    END AS band,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    CAST(sum(entity_count) AS BIGINT) AS entities,
    count(DISTINCT language) AS languages
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY 1
ORDER BY 1 NULLS LAST
