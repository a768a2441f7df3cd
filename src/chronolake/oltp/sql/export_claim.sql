-- Let a run write an export that is not done; its number, by which it is told from one that was thought dead.
UPDATE exports
SET state = 'running', run = run + 1, share = NULL, rows = NULL, bytes = NULL, started_at = now(), finished_at = NULL
WHERE id = %s AND state <> 'done'
RETURNING run
