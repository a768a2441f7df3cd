-- Find the hosts that most redirects of a domain lead to.
-- A target that is relative leads to the capture's own host. Letters are made small by hand: `lower` knows only ASCII
-- in PostgreSQL's collation C.
WITH moves AS (
SELECT
    url_key,
    "timestamp",
    domain,
    CASE
        WHEN regexp_matches(redirect_url, '^(https?:)?//') THEN
            trim(
                regexp_replace(
                    split_part(
                        split_part(
                            translate(redirect_url, '?#ABCDEFGHIJKLMNOPQRSTUVWXYZ', '//abcdefghijklmnopqrstuvwxyz'),
                            '//',
                            2
                        ),
                        '/',
                        1
                    ),
                    '^[^@]*@|:[0-9]*$',
                    '',
                    'g'
                ),
                '[]'
            )
        WHEN starts_with(redirect_url, '/') THEN host
    END AS target_host
FROM cdx_records
WHERE domain = $domain
    AND "timestamp" BETWEEN $start AND $end
    AND status_code BETWEEN 300 AND 399
    AND status_code <> 304
)
SELECT
    target_host,
    target_host = domain OR right(target_host, length(domain) + 1) = ('.' || domain) AS is_internal,
    count(*) AS captures,
    count(DISTINCT url_key) AS urls,
    min("timestamp") AS first,
    max("timestamp") AS last
FROM moves
WHERE target_host <> ''
GROUP BY 1, 2
ORDER BY captures DESC, target_host
LIMIT $limit
