-- About how many rows a table of ours has; -1 where nobody has counted yet.
SELECT reltuples::bigint FROM pg_class WHERE relname = %(table)s AND relnamespace = to_regnamespace('chronolake')
