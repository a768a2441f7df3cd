"""The API over real services with a few captures, asked in this process."""

import itertools
import json

import httpx
import psycopg
import pytest

from chronolake.api import create_app
from chronolake.ingest import IngestRequest
from chronolake.query import HybridQueryRouter
from chronolake.services import open_services
from chronolake.settings import load

_numbers = itertools.count()

HEADER = " CDX N b a m s k r M S V g\n"


def _line(number):
    status = ("200", "404", "-")[number % 3]
    return (
        f"com,host-{number % 4})/{number} 20{number % 10 + 10}0102030405 http://host-{number % 4}.com/{number}"
        f" text/html {status} {'D' * 32} - - {number} {number} c.warc.gz\n"
    )


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def database_url(server):
    """A database for the tests of one module, which leave it as they find it: opening a lake takes seconds."""
    name = f"module_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template_chronolake")
        yield server.url.replace("@/postgres?", f"@/{name}?")
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def make_settings(database_url, tmp_path_factory):
    home = {
        "DATABASE_URL": database_url,
        "CHRONOLAKE_HOME": str(tmp_path_factory.mktemp("home")),
        # So few captures as these would all be asked of PostgreSQL.
        "CHRONOLAKE_POSTGRES_CHEAP_ROWS": "0",
    }
    return lambda **variables: load(home, **variables)


def _opened(settings, folder):
    path = folder / "sample.cdx"
    path.write_text(HEADER + "".join(_line(number) for number in range(120)))
    with open_services(settings) as opened:
        opened.pipeline.ingest(IngestRequest(paths=(str(path),), project="news"))
        yield opened


@pytest.fixture(scope="module")
def services(make_settings, tmp_path_factory):
    """Services that a module's tests share and leave whole."""
    yield from _opened(make_settings(), tmp_path_factory.mktemp("files"))


@pytest.fixture
def fragile(server, tmp_path):
    """Services of one test alone, to be broken; with the name of their database."""
    name = f"fragile_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template_chronolake")
        url = server.url.replace("@/postgres?", f"@/{name}?")
        settings = load({"DATABASE_URL": url, "CHRONOLAKE_HOME": str(tmp_path / "home")})
        yield from ((services, name) for services in _opened(settings, tmp_path))
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_client():
    """A client of an app over services; what the app raises reaches the caller, so nothing may be raised."""

    def make(services):
        transport = httpx.ASGITransport(create_app(services))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", timeout=60)

    return make


@pytest.fixture
async def client(services, make_client):
    async with make_client(services) as opened:
        yield opened


@pytest.fixture
def make_router(services):
    opened = []

    def make(lake):
        router = HybridQueryRouter(database=services.database, lake=lake, settings=services.settings)
        opened.append(router)
        return router

    yield make
    for router in opened:
        router.close()


@pytest.fixture
def problem():
    """Check that an answer is a problem document of that status, and give it."""

    def _problem(answer, status):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        document = json.loads(answer.text)
        assert document["status"] == status
        assert set(document) >= {"type", "title", "status", "detail", "instance", "request_id"}
        assert document["request_id"] == answer.headers["x-request-id"]
        assert "Traceback" not in answer.text
        return document

    return _problem
