-- Keep rejected lines.
COPY quarantine (import_id, file, position, reason, detail, raw) FROM STDIN (FORMAT binary)
