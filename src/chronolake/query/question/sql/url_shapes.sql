-- Count URLs by how deep their path is and how many arguments their query has.
-- A URL is measured once, by its key, in which paths end without a slash.
WITH urls AS (
SELECT domain, url_key, count(*) AS captures
FROM cdx_records
WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain)
    AND "timestamp" BETWEEN $start AND $end
    AND record_type IN ('response', 'resource', 'revisit')
GROUP BY domain, url_key
),
parts AS (
SELECT
    domain,
    captures,
    rtrim(split_part(url_key, '?', 1), '/') AS path,
    substr(url_key, length(split_part(url_key, '?', 1)) + 2) AS query
FROM urls
)
SELECT
    length(path) - length(replace(path, '/', '')) AS path_depth,
    CASE WHEN query = '' THEN 0 ELSE length(query) - length(replace(query, '&', '')) + 1 END AS arguments,
    CAST(sum(captures) AS BIGINT) AS captures,
    count(*) AS urls
FROM parts
GROUP BY 1, 2
ORDER BY 1, 2
