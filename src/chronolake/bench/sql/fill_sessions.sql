-- A scrape session for every five thousandth capture.
INSERT INTO scrape_sessions (
    project_id, archive_source, state, created_at, started_at, finished_at, domain, read, stored, duplicate, rejected
)
SELECT
    project_id,
    archive_source,
    CASE WHEN hash / 11 % 20 = 0 THEN 'failed' ELSE 'done' END,
    timestamp AT TIME ZONE 'UTC',
    timestamp AT TIME ZONE 'UTC' + interval '2 seconds',
    timestamp AT TIME ZONE 'UTC' + (2 + hash / 7 % 600) * interval '1 second',
    domain,
    5000,
    4000 + hash / 13 % 900,
    95 - hash / 17 % 90,
    5
FROM (SELECT *, hashtextextended(id::text, 0) & 9007199254740991 AS hash FROM cdx_records) AS captures
WHERE hash % 5000 = 0;
