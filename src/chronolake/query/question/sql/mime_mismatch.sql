-- Compare the media type that was sent with the one that was found, for captures whose content was looked at.
-- Parameters after the semicolon are left out. Letters are made small one by one: lower() goes beyond ASCII on one
-- engine only.
WITH counted AS (
SELECT mime_type, mime_detected, count(*) AS captures, CAST(sum(content_length) AS BIGINT) AS bytes
FROM cdx_records
WHERE "timestamp" BETWEEN $start AND $end AND mime_detected IS NOT NULL
GROUP BY mime_type, mime_detected
),
named AS (
SELECT
    nullif(
        translate(
            trim(split_part(mime_type, ';', 1), ' '), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'
        ),
        ''
    ) AS mime_type,
    nullif(
        translate(
            trim(split_part(mime_detected, ';', 1), ' '), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'
        ),
        ''
    ) AS mime_detected,
    captures,
    bytes
FROM counted
)
SELECT
    mime_type,
    mime_detected,
    coalesce(mime_type = mime_detected, FALSE) AS agrees,
    CAST(sum(captures) AS BIGINT) AS captures,
    CAST(sum(captures) AS DOUBLE) / CAST(sum(sum(captures)) OVER () AS DOUBLE) AS share,
    CAST(sum(bytes) AS BIGINT) AS bytes
FROM named
WHERE mime_detected IS NOT NULL
GROUP BY mime_type, mime_detected
ORDER BY captures DESC, mime_type NULLS LAST, mime_detected
LIMIT $limit
