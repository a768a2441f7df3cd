-- Measure how long pages are, by the period in which their text was extracted.
WITH counted AS (
SELECT
    CAST(date_trunc($interval, extraction_timestamp) AS DATE) AS period,
    count(*) AS pages,
    CAST(sum(word_count) AS BIGINT) AS words,
    percentile_disc([0.5, 0.95]) WITHIN GROUP (ORDER BY word_count) AS word_counts
FROM content_analytics
WHERE extraction_timestamp BETWEEN $start AND $end
GROUP BY 1
)
SELECT
    period,
    pages,
    words,
    word_counts[1] AS median_words,
    word_counts[2] AS p95_words
FROM counted
ORDER BY period
