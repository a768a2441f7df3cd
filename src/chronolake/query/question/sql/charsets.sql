-- Count captures by character set.
-- Letters are made small one by one: lower() goes beyond ASCII on one engine only.
WITH named AS (
SELECT
    nullif(
        translate(trim(charset, ' '), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'), ''
    ) AS charset,
    domain,
    content_length
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end
)
SELECT
    charset,
    count(*) AS captures,
    CAST(count(*) AS DOUBLE) / CAST(sum(count(*)) OVER () AS DOUBLE) AS share,
    count(DISTINCT domain) AS domains,
    CAST(sum(content_length) AS BIGINT) AS bytes
FROM named
GROUP BY charset
ORDER BY captures DESC, charset NULLS LAST
LIMIT $limit
