-- Let go of questions that were asked long ago, some at a time; none while no row is an interval older than that, so that
-- of many processes one does it, and seldom. By their places, for a join would read the whole table.
DELETE FROM search_history
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM search_history WHERE searched_at < %(before)s ORDER BY searched_at LIMIT %(most)s
)) AND EXISTS (
    SELECT FROM search_history WHERE searched_at < %(before)s - %(interval)s
)
