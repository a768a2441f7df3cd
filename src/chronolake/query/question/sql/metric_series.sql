-- Sum up the samples of one metric by period.
-- A zero has no sign: which of two equal ones an engine takes is its own affair.
WITH placed AS (
SELECT
    CAST(date_trunc($interval, sampled_at) AS TIMESTAMP) AS period,
    process,
    labels,
    value,
    row_number() OVER (
        PARTITION BY date_trunc($interval, sampled_at), process, labels ORDER BY sampled_at DESC, id DESC
    ) AS from_last
FROM metric_samples
WHERE metric = $metric AND sampled_at BETWEEN $start AND $end
)
SELECT
    period,
    process,
    labels,
    count(*) AS samples,
    min(value) + CAST(0 AS DOUBLE) AS least,
    max(value) + CAST(0 AS DOUBLE) AS greatest,
    max(CASE WHEN from_last = 1 THEN value END) + CAST(0 AS DOUBLE) AS last
FROM placed
GROUP BY period, process, labels
ORDER BY period, process, labels
