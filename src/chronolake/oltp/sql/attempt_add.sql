-- Keep one request to an archive.
INSERT INTO archive_request_attempts (
    session_id, project_id, archive_source, outcome, url, requested_at, retry, latency_ms, bytes, status_code, rows
)
VALUES (
    %(session_id)s, %(project_id)s, %(archive_source)s, %(outcome)s, %(url)s, %(requested_at)s, %(retry)s,
    %(latency_ms)s, %(bytes)s, %(status_code)s, %(rows)s
)
