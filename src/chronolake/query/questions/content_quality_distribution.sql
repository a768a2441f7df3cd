-- Sort pages into tenths of the quality scale.
SELECT
    least(CAST(floor(CAST(quality_score AS DOUBLE) * 10) AS INTEGER), 9) AS band,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    CAST(sum(entity_count) AS BIGINT) AS entities,
    count(DISTINCT language) AS languages
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY 1
ORDER BY 1 NULLS LAST
