-- Which of these captures have become pages.
SELECT page_id FROM pages
WHERE page_id = ANY(%(ids)s)
