-- Follow redirects from URL to URL within a domain, at most 5 hops, by the last answer of each URL.
-- A chain that comes back to one of its URLs has more rows in `walk` than URLs.
WITH RECURSIVE answers AS (
SELECT DISTINCT ON (url)
    url,
    status_code,
    CASE
        WHEN status_code NOT BETWEEN 300 AND 399 OR status_code = 304 THEN NULL
        WHEN regexp_matches(redirect_url, '^https?://') THEN redirect_url
        WHEN starts_with(redirect_url, '//') THEN split_part(url, '/', 1) || redirect_url
        WHEN starts_with(redirect_url, '/') THEN
            split_part(url, '/', 1) || '//' || split_part(translate(url, '?#', '//'), '/', 3) || redirect_url
    END AS target
FROM cdx_records
WHERE domain = $domain AND "timestamp" BETWEEN $start AND $end AND status_code IS NOT NULL
ORDER BY url, "timestamp" DESC, id DESC
),
steps AS (
SELECT
    url,
    status_code,
    -- Archives write the root of a host with its slash, and no fragment.
    regexp_replace(split_part(target, '#', 1), '^(https?://[^/?]+)$', '\1/') AS target
FROM answers
),
walk AS (
SELECT url AS start_url, 0 AS hop, url, status_code, target
FROM steps
WHERE target IS NOT NULL
UNION ALL
SELECT
    walk.start_url,
    walk.hop + 1 AS hop,
    walk.target AS url,
    steps.status_code,
    steps.target
FROM walk
LEFT JOIN steps ON steps.url = walk.target
WHERE walk.target IS NOT NULL AND walk.hop < 5
),
chains AS (
SELECT
    start_url,
    count(*) > count(DISTINCT url) AS loops,
    CASE WHEN count(*) > count(DISTINCT url) THEN count(DISTINCT url) ELSE count(*) - 1 END AS hops
FROM walk
GROUP BY start_url
-- Each chain has one row of each hop: so the last rows are looked up for those alone that are shown.
ORDER BY hops DESC, start_url
LIMIT $limit
)
SELECT
    chains.start_url,
    CAST(chains.hops AS INTEGER) AS hops,
    walk.url AS final_url,
    walk.status_code AS final_status,
    chains.loops
FROM chains
JOIN walk ON walk.start_url = chains.start_url AND walk.hop = chains.hops
ORDER BY chains.hops DESC, chains.start_url
