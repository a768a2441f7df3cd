"""Two databases in one home keep apart, and a home from when all lay in one folder goes on."""

import itertools

import psycopg
import pytest
import structlog

from chronolake.ingest import IngestRequest
from chronolake.services import open_services
from chronolake.testing import differences

_numbers = itertools.count()


@pytest.fixture
def other_url(server):
    """A second database, made from nothing: a copy of the template would have its identity."""
    name = f"other_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
        yield server.url.replace("@/postgres?", f"@/{name}?")
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


def write_cdx(path, host):
    lines = [
        f"com,{host})/{n} 20200102030405 http://{host}.com/{n} text/html 200 {'B' * 32} - - 1 {n} c.gz\n"
        for n in range(50)
    ]
    path.write_text(" CDX N b a m s k r M S V g\n" + "".join(lines))
    return path


def ingest(services, path):
    return services.pipeline.ingest(IngestRequest(paths=(str(path),), project="news"))


def staged_in(services):
    staging = services.settings.staging(services.database.instance)
    return {path.name for path in staging.glob("*")}


def test_two_databases_of_one_home_touch_nothing_of_each_other(
    make_settings, other_url, tmp_path, monkeypatch
):
    with (
        open_services(make_settings()) as one,
        open_services(make_settings(DATABASE_URL=other_url)) as other,
    ):
        assert one.settings.home == other.settings.home
        other.sync.reach()
        with monkeypatch.context() as patched:
            patched.setattr(one.pipeline, "_follower", None)
            patched.setattr(other.pipeline, "_follower", None)
            ingest(one, write_cdx(tmp_path / "one.cdx", "one"))
            ingest(other, write_cdx(tmp_path / "other.cdx", "other"))
        # The very names that would have met in one folder.
        assert staged_in(one) == staged_in(other) != set()
        with one.database.connection() as conn:
            conn.execute("DELETE FROM ledger")
        assert one.sync.sweep() == 1
        assert other.sync.sweep() == 0
        with structlog.testing.capture_logs() as lines:
            other.sync.reach()
        assert "lake.restaged" not in {line["event"] for line in lines}
        assert differences(other.database, other.lake) == []
        assert one.lake.path != other.lake.path
        assert one.lake.info().document()["tables"][0]["rows"] == 0
