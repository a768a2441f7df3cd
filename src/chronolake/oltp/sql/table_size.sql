-- How large a table is: its file, blocks, rows by the planner's own guess (-1 where nothing was counted yet), all its bytes.
SELECT
    pg_relation_filenode(c.oid)::bigint,
    pg_relation_size(c.oid) / current_setting('block_size')::bigint,
    CASE
        WHEN c.reltuples < 0 THEN -1
        WHEN c.relpages = 0 THEN 0
        ELSE (c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::bigint))::bigint
    END,
    pg_table_size(c.oid)
FROM pg_class c
WHERE c.oid = to_regclass(quote_ident(%s))
