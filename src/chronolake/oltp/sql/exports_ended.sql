-- Exports that ended, newest first: with the bytes of their files, and whether they ended before a time.
SELECT id AS export_id, coalesce(bytes, 0) AS bytes, finished_at < %s AS old
FROM exports
WHERE finished_at IS NOT NULL
ORDER BY finished_at DESC, id
