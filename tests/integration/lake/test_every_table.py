"""Every table of the registry, with odd rows, in both stores: what the one gives back the other does too."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from psycopg import sql

from chronolake.capture.attempt import Outcome
from chronolake.capture.columns import TABLES
from chronolake.capture.entity import EntityKind
from chronolake.settings import Layout
from chronolake.testing import differences

#: Values of the columns that PostgreSQL does not take just any of.
TAKEN = {
    ("projects", "name"): ["news", "é'\"\\\n\t", "Z"],
    ("page_entities", "kind"): [EntityKind.PERSON, EntityKind.MONEY, EntityKind.URL],
    ("page_entities", "count"): [1, 2, 3],
    ("archive_request_attempts", "outcome"): [Outcome.OK, Outcome.NOT_SENT, Outcome.TIMEOUT],
    ("archive_request_attempts", "session_id"): [1, None, 2],
    ("archive_request_attempts", "retry"): [0, 1, 0],
    ("scrape_sessions", "state"): ["waiting", "done", "failed"],
    ("search_history", "user_id"): [1, None, 1],
}
VALUES = {
    pa.string(): ["é'\"\\\n\t", "", "Z"],
    pa.int32(): [1, 2**31 - 1, -5],
    pa.int64(): [2**40, 0, -1],
    pa.float32(): [0.1, 1.0, float("inf")],
    pa.float64(): [0.1, 1e300, -2.5],
    pa.bool_(): [True, False, True],
    pa.binary(): [b"\x00\xff", b"", b"x"],
    pa.date32(): [date(1996, 5, 10), date(1970, 1, 1), date(2038, 1, 20)],
    pa.timestamp("us"): [
        datetime(2020, 2, 29, 23, 59, 59, 999_999),
        datetime(1996, 1, 1),
        datetime(2020, 2, 29),
    ],
    pa.timestamp("us", tz="UTC"): [
        datetime(2024, 3, 31, 2, 30, 0, 1, tzinfo=UTC),
        datetime(1999, 12, 31, tzinfo=UTC),
        datetime(2024, 3, 31, tzinfo=UTC),
    ],
}


def rows_of(table, project_ids):
    """Three rows; the second is null wherever it may be."""
    columns = []
    for column in table.stored:
        if column.name == "project_id" or (table.name == "projects" and column.name == "id"):
            values = list(project_ids)
        elif column.name == table.key and table.name != "domains":
            values = [n.to_bytes(16, "big") if column.arrow == pa.uuid() else n for n in (3, 1, 2)]
        elif column.arrow == pa.uuid():
            values = [n.to_bytes(16, "big") for n in (1, 2, 3)]
        else:
            values = TAKEN.get((table.name, column.name), VALUES.get(column.arrow))
        if column.nullable:
            values = [values[0], None, values[2]]
        columns.append(pa.array(values, column.arrow))
    return pa.Table.from_arrays(columns, schema=table.arrow_schema)


def insert(conn, table, rows):
    # What a key points at is made first; here only rows of users are missing.
    names = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    conn.execute("INSERT INTO users (email) VALUES ('one') ON CONFLICT DO NOTHING")
    with conn.cursor() as cursor:
        cursor.executemany(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                sql.Identifier(table.postgres_table),
                names,
                sql.SQL(", ").join(sql.Placeholder() * len(rows.column_names)),
            ),
            [tuple(row.values()) for row in rows.to_pylist()],
        )


#: What others point at comes first.
IN_ORDER = sorted(
    TABLES.values(), key=lambda table: (table.name != "projects", table.name != "scrape_sessions")
)


# One layout that DuckDB itself writes, and one whose files are adopted; opening a lake takes seconds.
@pytest.mark.parametrize("layout", [Layout.BUCKET_YEAR, Layout.YEAR_MONTH])
def test_both_stores_give_back_the_same_rows_of_every_table(open_lake, database, layout):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    for table in IN_ORDER:
        rows = rows_of(table, (1, 2, 3))
        with database.connection() as conn:
            insert(conn, table, rows)
        assert [told.split(":")[0] for told in differences(database, lake)] == [table.name] * 3
        lake.append(table, rows)
        assert differences(database, lake) == []
    assert {table.name: table.rows for table in lake.info().tables} == dict.fromkeys(TABLES, 3)


def test_files_of_every_table_are_in_its_order(open_lake, ask):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="none")
    for table in TABLES.values():
        lake.append(table, rows_of(table, (3, 1, 2)))
        order = ", ".join(f'"{name}"' for name in table.sort)
        [(path,)] = ask(lake, f"SELECT data_file FROM ducklake_list_files('lake', '{table.name}')")
        assert ask(lake, f"SELECT {order} FROM read_parquet('{path}')") == ask(
            lake, f"SELECT {order} FROM {table.name} ORDER BY {order}"
        )


def test_a_lake_of_an_older_version_gets_the_tables_it_lacks(open_lake, ask):
    older = open_lake()
    with older.cursor() as cursor:
        cursor.execute("DROP TABLE page_entities")
        cursor.execute("DROP TABLE domains")
    older.close()
    newer = open_lake()
    assert [table.name for table in newer.info().tables] == list(TABLES)
    assert ask(newer, "SELECT count(*) FROM page_entities") == [(0,)]
