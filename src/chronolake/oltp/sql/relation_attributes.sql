-- Every column that a relation has or had, what rows older than the column have in it, and whether it is published.
SELECT
    a.attnum,
    a.attname::text,
    a.atttypid::bigint,
    a.atttypmod,
    a.attisdropped,
    coalesce(a.attname = ANY(p.attnames), false),
    CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
    a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_publication_tables p
    ON p.pubname = %(publication)s AND p.schemaname = n.nspname AND p.tablename = c.relname
WHERE a.attrelid = %(oid)s AND a.attnum > 0
ORDER BY a.attnum
