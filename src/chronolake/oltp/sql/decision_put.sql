-- Note why a capture becomes no page, or why it would not have, had nobody overridden that.
INSERT INTO extraction_decisions (capture_id, project_id, reason, detail, decided_at, overridden)
VALUES (%(capture_id)s, %(project_id)s, %(reason)s, %(detail)s, %(decided_at)s, %(overridden)s)
ON CONFLICT (capture_id) DO UPDATE SET
    reason = excluded.reason,
    detail = excluded.detail,
    decided_at = excluded.decided_at,
    overridden = excluded.overridden
