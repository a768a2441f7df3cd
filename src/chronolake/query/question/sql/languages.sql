-- Count pages by language.
WITH counted AS (
SELECT
    language,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY word_count) AS median_words,
    count(DISTINCT domain) AS domains
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY language
)
SELECT
    language,
    pages,
    CAST(pages AS DOUBLE) / CAST(sum(pages) OVER () AS DOUBLE) AS share,
    words,
    median_words,
    domains
FROM counted
ORDER BY pages DESC, language NULLS LAST
LIMIT $limit
