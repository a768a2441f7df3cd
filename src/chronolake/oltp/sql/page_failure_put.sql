-- Note that a payload gave no page; tried before, once more.
INSERT INTO page_failures (capture_id, project_id, kind, detail, failed_at)
VALUES (%(capture_id)s, %(project_id)s, %(kind)s, %(detail)s, %(failed_at)s)
ON CONFLICT (capture_id) DO UPDATE SET
    kind = excluded.kind,
    detail = excluded.detail,
    failed_at = excluded.failed_at,
    tries = page_failures.tries + 1
