-- Keep a change that the lake could not take.
INSERT INTO chronolake.sync_dead_letters (table_name, key, change_kind, epoch, lsn, commit_at, reason, payload, raw)
VALUES (
    %(table_name)s, %(key)s, %(change_kind)s, %(epoch)s, %(lsn)s, %(commit_at)s, %(reason)s, %(payload)s::jsonb, %(raw)s
)
