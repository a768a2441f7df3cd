-- Note why a change still does not fit the lake.
UPDATE sync_dead_letters SET reason = %(reason)s WHERE id = %(letter_id)s AND state = 'open'
