-- Move a scrape session on by one batch, and its import's account with it, if the import still has the session.
WITH moved AS (
    UPDATE scrape_progress
    SET
        place = CASE WHEN %(page_ends)s THEN %(place)s ELSE place END,
        ended = %(page_ends)s AND %(place)s::text IS NULL,
        pages = pages + %(page_ends)s::boolean::integer,
        read = read + %(read)s, stored = stored + %(stored)s, duplicate = duplicate + %(duplicate)s,
        rejected = rejected + %(rejected)s, outside = outside + %(outside)s, updated_at = clock_timestamp(),
        newest = greatest(newest, %(newest)s::timestamp),
        failures = CASE WHEN %(page_ends)s THEN 0 ELSE failures END,
        error = CASE WHEN %(page_ends)s THEN NULL ELSE error END
    WHERE session_id = %(session_id)s AND import_id = %(import_id)s
    RETURNING import_id
)
UPDATE imports
SET read = read + %(read)s, stored = stored + %(stored)s, duplicate = duplicate + %(duplicate)s,
    rejected = rejected + %(rejected)s
FROM moved
WHERE id = moved.import_id
