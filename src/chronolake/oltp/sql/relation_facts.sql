-- A relation as it is now: its schema, name, file and the columns of its primary key.
SELECT
    n.nspname,
    c.relname,
    c.relfilenode::bigint,
    ARRAY(
        SELECT a.attname::text
        FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary
    )
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = %(oid)s
