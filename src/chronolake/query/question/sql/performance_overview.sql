-- Sum up what was asked by question, engine and reason.
-- A zero has no sign: which of two equal ones an engine takes is its own affair.
SELECT
    question,
    engine,
    reason,
    count(*) AS asked,
    count(error_class) AS failed,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY elapsed_ms) + CAST(0 AS DOUBLE) AS median_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY elapsed_ms) + CAST(0 AS DOUBLE) AS p95_ms,
    max(elapsed_ms) + CAST(0 AS DOUBLE) AS slowest_ms,
    CAST(sum(rows) AS BIGINT) AS rows
FROM search_history
WHERE searched_at BETWEEN $start AND $end
GROUP BY question, engine, reason
ORDER BY asked DESC, question, engine NULLS LAST, reason NULLS LAST
