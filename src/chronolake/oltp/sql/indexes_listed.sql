-- Indexes of our tables: columns, whether they are plain, valid and being built, bytes, and when one was last used.
SELECT
    index_class.relname,
    table_class.relname,
    ARRAY(
        SELECT attname
        FROM unnest(indexes.indkey::smallint[]) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = indexes.indrelid AND attnum = key.number
        ORDER BY key.place
    ),
    method.amname = 'btree' AND indexes.indpred IS NULL AND indexes.indexprs IS NULL,
    indexes.indisvalid,
    indexes.indisreplident,
    EXISTS (SELECT FROM pg_stat_progress_create_index AS built WHERE built.index_relid = indexes.indexrelid),
    pg_relation_size(indexes.indexrelid),
    coalesce(stats.idx_scan, 0),
    stats.last_idx_scan,
    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())
FROM pg_index AS indexes
JOIN pg_class AS index_class ON index_class.oid = indexes.indexrelid
JOIN pg_class AS table_class ON table_class.oid = indexes.indrelid
JOIN pg_am AS method ON method.oid = index_class.relam
LEFT JOIN pg_stat_user_indexes AS stats ON stats.indexrelid = indexes.indexrelid
WHERE table_class.relnamespace = to_regnamespace('chronolake')
ORDER BY table_class.relname, index_class.relname
