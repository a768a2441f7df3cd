-- Count a session's requests by how they went.
SELECT outcome, count(*) FROM archive_request_attempts WHERE session_id = %s GROUP BY outcome ORDER BY outcome
