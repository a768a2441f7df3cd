-- Changes that were made, newest first; one of them, or all.
SELECT id, done_at, kind, action, automatic, name, asked, why, definition, figures, undone_at
FROM optimizer_log
WHERE %(id)s::bigint IS NULL OR id = %(id)s
ORDER BY id DESC
