-- Note that an export's run came to nothing, and whether it is tried again; nothing where another run writes it.
UPDATE exports
SET
    state = CASE WHEN %(again)s THEN 'waiting' ELSE 'failed' END, share = NULL, bytes = NULL,
    error = coalesce(%(error)s, error), failures = failures + %(counts)s::boolean::integer,
    finished_at = CASE WHEN NOT %(again)s THEN now() END
WHERE id = %(id)s AND run = %(run)s AND state = 'running'
