"""What tests stand on: one real PostgreSQL for each worker, and a fresh database of it for each test.

- `database_url`: address of a database with our schema that only this test has.
- `make_settings(**variables)`: settings with that database and a home of this test's own, the same each call.
- `database`: that database, open.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from chronolake.oltp import Database
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.settings import Settings, load

TEMPLATE = "template_chronolake"
#: So few captures as tests have would all be asked of PostgreSQL: only tests of the choice leave it open.
ASK_THE_LAKE = {"CHRONOLAKE_POSTGRES_CHEAP_ROWS": "0"}
_numbers = itertools.count()

# How long an example takes says more of what else the machine does; a test that hangs has its timeout.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def _named(url: str, database: str) -> str:
    return url.replace("@/postgres?", f"@/{database}?")


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A real server, with a template database that has our schema.

    Its home lies outside pytest's own folder: as root the server runs as another user, and each start of pytest
    closes that folder to others.
    """
    with tempfile.TemporaryDirectory(prefix="chronolake-test-") as home:
        yield from _running(EmbeddedServer(Path(home)))


def _running(started: EmbeddedServer) -> Iterator[EmbeddedServer]:
    started.start()
    with psycopg.connect(started.url, autocommit=True) as conn:
        # Tests need no safety from a power failure, only the same answers.
        conn.execute("ALTER SYSTEM SET fsync = off")
        conn.execute("SELECT pg_reload_conf()")
        conn.execute(f"CREATE DATABASE {TEMPLATE}")
    with Database.open(load({"DATABASE_URL": _named(started.url, TEMPLATE)})):
        pass
    yield started
    started.stop()


@pytest.fixture
def database_url(server) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
        yield _named(server.url, name)
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def make_settings(database_url, tmp_path) -> Callable[..., Settings]:
    def make(**variables: object) -> Settings:
        home = {"DATABASE_URL": database_url, "CHRONOLAKE_HOME": str(tmp_path / "home")} | ASK_THE_LAKE
        return load(home, **variables)

    return make


@pytest.fixture
def database(make_settings) -> Iterator[Database]:
    with Database.open(make_settings()) as opened:
        yield opened
