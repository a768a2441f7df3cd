-- Sort the redirects of a domain by how far they lead.
-- Letters of a host are made small by hand: `lower` knows only ASCII in PostgreSQL's collation C.
WITH moves AS (
SELECT
    url_key,
    "timestamp",
    domain,
    host,
    url,
    CASE
        WHEN regexp_matches(redirect_url, '^https?://') THEN redirect_url
        WHEN starts_with(redirect_url, '//') THEN split_part(url, '/', 1) || redirect_url
        WHEN starts_with(redirect_url, '/') THEN
            split_part(url, '/', 1) || '//' || split_part(translate(url, '?#', '//'), '/', 3) || redirect_url
    END AS target
FROM cdx_records
WHERE domain = $domain
    AND "timestamp" BETWEEN $start AND $end
    AND status_code BETWEEN 300 AND 399
    AND status_code <> 304
),
places AS (
SELECT
    url_key,
    "timestamp",
    domain,
    host,
    split_part(url, ':', 1) AS scheme,
    rtrim(split_part(regexp_replace(url, '^[^/]*//[^/?#]*', ''), '#', 1), '/?') AS path,
    trim(
        regexp_replace(
            split_part(translate(target, '?#ABCDEFGHIJKLMNOPQRSTUVWXYZ', '//abcdefghijklmnopqrstuvwxyz'), '/', 3),
            '^[^@]*@|:[0-9]*$',
            '',
            'g'
        ),
        '[]'
    ) AS target_host,
    split_part(target, ':', 1) AS target_scheme,
    rtrim(split_part(regexp_replace(target, '^[^/]*//[^/?#]*', ''), '#', 1), '/?') AS target_path
FROM moves
),
kinds AS (
SELECT
    url_key,
    "timestamp",
    domain,
    CASE
        WHEN COALESCE(target_host, '') = '' OR host IS NULL THEN 'unknown'
        WHEN target_host <> domain AND right(target_host, length(domain) + 1) <> ('.' || domain) THEN 'domain_move'
        WHEN target_host <> host THEN 'host_move'
        WHEN scheme = 'http' AND target_scheme = 'https' THEN 'http_to_https'
        WHEN path = target_path THEN 'same'
        ELSE 'path_change'
    END AS kind
FROM places
)
SELECT
    kind,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM kinds
GROUP BY kind
ORDER BY captures DESC, kind
