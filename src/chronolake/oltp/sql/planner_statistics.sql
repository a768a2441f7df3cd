-- What PostgreSQL's planner knows of some tables: rows now (null where nothing was counted yet), the columns of each
-- index that serves look-ups, and how the values of those columns are spread.
SELECT
    c.relname,
    CASE
        WHEN c.reltuples < 0 AND pg_relation_size(c.oid) > 0 THEN NULL
        WHEN c.relpages <= 0 THEN 0
        ELSE c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::bigint)
    END::float8,
    pg_relation_size(c.oid) / current_setting('block_size')::bigint,
    (
        SELECT coalesce(jsonb_agg(found.names), '[]')
        FROM (
            SELECT array_agg(a.attname ORDER BY key.place) AS names
            FROM pg_index i
            JOIN pg_class ic ON ic.oid = i.indexrelid
            JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
            CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key.number
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
            GROUP BY i.indexrelid
        ) AS found
    ),
    (
        SELECT coalesce(jsonb_object_agg(s.attname, jsonb_build_object(
            'distinct', s.n_distinct,
            'common', coalesce(s.most_common_vals::text::text[], '{}'),
            'shares', coalesce(s.most_common_freqs, '{}'),
            'bounds', coalesce(s.histogram_bounds::text::text[], '{}')
        )), '{}')
        FROM pg_stats s
        WHERE s.schemaname = current_schema() AND s.tablename = c.relname AND s.attname = ANY(%(columns)s)
    )
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname = ANY(%(tables)s)
