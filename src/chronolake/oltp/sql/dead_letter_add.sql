-- Keep a change that the lake could not take.
INSERT INTO chronolake.sync_dead_letters (table_name, change_kind, epoch, lsn, commit_at, reason, raw)
VALUES (%(table_name)s, %(change_kind)s, %(epoch)s, %(lsn)s, %(commit_at)s, %(reason)s, %(raw)s)
