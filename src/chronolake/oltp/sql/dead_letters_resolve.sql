-- Note of changes that the lake could not take how they were dealt with.
UPDATE sync_dead_letters
SET state = %(state)s, resolved_at = clock_timestamp()
WHERE id = ANY(%(letter_ids)s) AND state = 'open'
