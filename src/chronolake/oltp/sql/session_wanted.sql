-- What people want of a scrape session.
SELECT wanted FROM scrape_progress WHERE session_id = %s
