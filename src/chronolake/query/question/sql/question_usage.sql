-- Count what was asked by period.
-- A zero has no sign: which of two equal ones an engine takes is its own affair.
SELECT
    CAST(date_trunc($interval, searched_at) AS DATE) AS period,
    question,
    count(*) AS asked,
    count(error_class) AS failed,
    count(*) FILTER (WHERE reason = 'cached') AS cached,
    count(*) FILTER (WHERE reason = 'rollup') AS rolled_up,
    count(DISTINCT user_id) AS people,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY elapsed_ms) + CAST(0 AS DOUBLE) AS median_ms
FROM search_history
WHERE searched_at BETWEEN $start AND $end
GROUP BY 1, 2
ORDER BY 1, 2
