"""A slot on the real server, and what comes out of it."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

SLOT = "decode_oracle"


@pytest.fixture
def conn(database_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute("SET search_path = public; SET TimeZone = 'UTC'")
        yield opened


@pytest.fixture
def changes(conn) -> Iterator[Callable[..., list[bytes]]]:
    """The messages since the last call; `changes.start()` is called once the tables are there."""

    def read(**options: str) -> list[bytes]:
        given = {"proto_version": "4", "publication_names": "everything", "binary": "true"} | options
        flat = [part for option in given.items() for part in option]
        marks = ", ".join(["%s"] * len(flat))
        statement = f"SELECT data FROM pg_logical_slot_get_binary_changes('{SLOT}', NULL, NULL, {marks})"
        return [row[0] for row in conn.execute(statement, flat, binary=True)]

    conn.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    conn.execute(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")
    yield read
    conn.execute(f"SELECT pg_drop_replication_slot('{SLOT}')")
