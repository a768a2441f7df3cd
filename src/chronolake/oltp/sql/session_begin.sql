-- Begin a scrape session that has asked nothing yet.
WITH session AS (
    INSERT INTO scrape_sessions (project_id, archive_source, domain)
    VALUES (%(project_id)s, %(archive_source)s, %(domain)s)
    RETURNING id
)
INSERT INTO scrape_progress (session_id, archive, query)
SELECT id, %(archive)s, %(query)s FROM session
RETURNING session_id
