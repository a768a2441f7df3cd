-- Put the batch's words into the WAL; they stand there only if the transaction commits.
SELECT pg_logical_emit_message(true, 'chronolake.batch', %s::text)
