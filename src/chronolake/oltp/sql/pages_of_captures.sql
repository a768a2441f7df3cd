-- Which of these captures have become pages; they stay as they are until the transaction ends.
SELECT page_id FROM pages
WHERE page_id = ANY(%(ids)s)
ORDER BY page_id
FOR UPDATE
