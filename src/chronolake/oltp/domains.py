"""Domains that captures were seen of."""

import pyarrow as pa
from psycopg import Connection

from chronolake.oltp.statements import statement

_COLUMNS = ["domain", "registered_domain", "private_domain", "tld"]


def add(conn: Connection, rows: pa.Table) -> None:
    """Note the domains of `rows` (capture columns) that are new."""
    distinct = rows.select(_COLUMNS).group_by("domain").aggregate([(name, "min") for name in _COLUMNS[1:]])
    distinct = distinct.sort_by("domain")
    lists = [distinct["domain"].to_pylist(), *(distinct[f"{name}_min"].to_pylist() for name in _COLUMNS[1:])]
    if lists[0]:
        conn.execute(statement("domain_add"), lists)
