-- By digest a page of the project that was made of that payload.
SELECT DISTINCT ON (payload_digest)
    payload_digest,
    page_id
FROM pages
WHERE project_id = %(project_id)s AND payload_digest = ANY(%(digests)s)
ORDER BY payload_digest, page_id
