-- Note how far an export's run is, if it is still the one that writes it.
UPDATE exports SET share = %(share)s, bytes = %(bytes)s WHERE id = %(id)s AND run = %(run)s AND state = 'running'
