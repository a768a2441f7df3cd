-- A question that was asked for every hundredth capture, in the days up to now: older ones than are kept go.
INSERT INTO search_history (
    question, query_text, engine, elapsed_ms, rows, searched_at, project_count, reason, error_class
)
SELECT
    (ARRAY['domain_timeline', 'domain_statistics', 'top_domains', 'project_summary'])[1 + number % 4],
    '{}',
    'duckdb',
    1 + abs(hashint8(number)) % 2000,
    number % 100,
    (now() AT TIME ZONE 'UTC') - number % 20 * interval '1 day' - number % 86400 * interval '1 second',
    1 + number % 8,
    (ARRAY['cached', 'rollup', 'scan'])[1 + number / 4 % 3],
    CASE WHEN number % 97 = 0 THEN 'QueryTimeout' END
FROM generate_series(1, (SELECT count(*) / 100 FROM cdx_records)) AS searches (number);
