-- Changes that the lake could not take and nobody has dealt with, oldest first.
SELECT id, table_name, key, change_kind, lsn::text, commit_at, reason, payload
FROM sync_dead_letters
WHERE
    state = 'open'
    AND (%(table_name)s::text IS NULL OR table_name = %(table_name)s)
    AND (%(letter_id)s::bigint IS NULL OR id = %(letter_id)s)
ORDER BY id
