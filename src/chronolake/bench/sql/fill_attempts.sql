-- An attempt for every hundredth capture: an answer of an archive brings about as many.
INSERT INTO archive_request_attempts (
    archive_source, outcome, latency_ms, bytes, requested_at, project_id, rows, retry
)
SELECT
    archive_source,
    (ARRAY['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'empty', 'throttled', 'timeout', 'server_error'])[1 + hash / 7 % 10],
    20 + hash / 11 % 4000,
    hash / 13 % 200000,
    timestamp AT TIME ZONE 'UTC',
    project_id,
    100,
    (hash / 17 % 3)::integer
FROM (SELECT *, hashtextextended(id::text, 0) & 9007199254740991 AS hash FROM cdx_records) AS captures
WHERE hash % 100 = 0;
