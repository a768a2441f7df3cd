-- Note that an export is whole, if the run is still the one that writes it.
UPDATE exports
SET
    state = 'done', share = 1, rows = %(rows)s, bytes = %(bytes)s, as_of_lsn = %(as_of_lsn)s, lag_s = %(lag_s)s,
    failures = 0, error = NULL, finished_at = now()
WHERE id = %(id)s AND run = %(run)s AND state = 'running'
