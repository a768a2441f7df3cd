-- How a scrape session stands, kept so until the transaction ends.
SELECT state, wanted, ended, import_id
FROM scrape_progress
JOIN scrape_sessions ON scrape_sessions.id = session_id
WHERE session_id = %s
FOR UPDATE
