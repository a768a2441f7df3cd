-- Follow redirects from URL to URL within a domain, at most 5 hops, by the last answer of each URL.
-- Most URLs neither redirect nor are led to: the last answer is looked for of those alone that do or are.
-- A chain that comes back to one of its URLs has more rows in `walk` than URLs.
WITH RECURSIVE answers AS (
SELECT
    url,
    "timestamp",
    id,
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
),
hops AS (
-- Archives write the root of a host with its slash, and no fragment.
SELECT DISTINCT url, target, regexp_replace(split_part(target, '#', 1), '^(https?://[^/?]+)$', '\1/') AS next_url
FROM answers
WHERE target IS NOT NULL
),
reached AS (
SELECT url FROM hops
UNION
SELECT next_url AS url FROM hops
),
lasts AS (
SELECT DISTINCT ON (url) url, status_code, target
FROM answers
WHERE url IN (SELECT url FROM reached)
ORDER BY url, "timestamp" DESC, id DESC
),
steps AS (
SELECT lasts.url, lasts.status_code, hops.next_url AS target
FROM lasts
LEFT JOIN hops ON hops.url = lasts.url AND hops.target = lasts.target
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
