-- Count captures by character set.
-- Letters are made small one by one: lower() goes beyond ASCII on one engine only.
WITH counted AS (
SELECT
    nullif(
        translate(trim(charset, ' '), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'), ''
    ) AS named,
    count(*) AS captures,
    count(DISTINCT domain) AS domains,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
GROUP BY 1
)
SELECT
    named AS charset,
    captures,
    CAST(captures AS DOUBLE) / CAST(sum(captures) OVER () AS DOUBLE) AS share,
    domains,
    bytes
FROM counted
ORDER BY captures DESC, charset NULLS LAST
LIMIT $limit
