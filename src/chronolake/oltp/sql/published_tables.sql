-- The tables that the publication names now.
SELECT c.oid::bigint, p.schemaname::text, p.tablename::text
FROM pg_publication_tables p
JOIN pg_namespace n ON n.nspname = p.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE p.pubname = %(publication)s
ORDER BY p.schemaname, p.tablename
