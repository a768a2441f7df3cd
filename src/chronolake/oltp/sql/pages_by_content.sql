-- By hash a page of the project that has that text.
SELECT DISTINCT ON (content_hash)
    content_hash,
    page_id
FROM pages
WHERE project_id = %(project_id)s AND content_hash = ANY(%(hashes)s)
ORDER BY content_hash, page_id
