-- How many changes the lake could not take that nobody has dealt with.
SELECT count(*) FROM sync_dead_letters WHERE state = 'open'
