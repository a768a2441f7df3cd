-- Ask whoever brings the stream to the lake not to linger: somebody waits for what was committed before this.
SELECT pg_logical_emit_message(true, 'chronolake.hurry', '')
