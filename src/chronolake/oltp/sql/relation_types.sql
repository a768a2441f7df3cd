-- The built-in type in whose form values of these user-defined types are sent: a domain's base, text for an enum.
WITH RECURSIVE based AS (
    SELECT oid AS asked, oid AS base FROM pg_type WHERE oid = ANY(%(oids)s)
    UNION ALL
    SELECT asked, typbasetype FROM based JOIN pg_type t ON t.oid = based.base AND t.typtype = 'd'
)
SELECT asked::bigint, CASE t.typtype WHEN 'e' THEN 25 ELSE base::bigint END
FROM based
JOIN pg_type t ON t.oid = based.base
WHERE t.typtype <> 'd'
