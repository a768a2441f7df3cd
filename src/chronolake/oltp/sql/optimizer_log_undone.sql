-- Note that a change was taken back.
UPDATE optimizer_log SET undone_at = clock_timestamp() WHERE id = %(id)s
