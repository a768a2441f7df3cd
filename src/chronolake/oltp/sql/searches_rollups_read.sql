-- The rollups that answers were read from since a moment.
SELECT DISTINCT unnest(string_to_array(rollups, ','))
FROM search_history
WHERE searched_at >= %(since)s AND rollups IS NOT NULL
