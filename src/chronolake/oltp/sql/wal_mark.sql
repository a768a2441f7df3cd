-- Write a word into the WAL, so that its commit waits until everything before it is on the disk.
SELECT pg_logical_emit_message(true, 'chronolake.mark', '')
