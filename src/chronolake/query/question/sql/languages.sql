-- Count pages by language.
SELECT
    language,
    count(*) AS pages,
    CAST(count(*) AS DOUBLE) / CAST(sum(count(*)) OVER () AS DOUBLE) AS share,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    count(DISTINCT domain) AS domains
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY language
ORDER BY pages DESC, language NULLS LAST
LIMIT $limit
