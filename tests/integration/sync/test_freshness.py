"""Read your writes: an LSN that a write gave, asked back."""

import pytest

from chronolake.errors import LakeBehind
from chronolake.ingest import IngestRequest
from chronolake.oltp import current_lsn
from chronolake.query import Scope
from chronolake.services import open_services

pytestmark = pytest.mark.anyio
ALL = Scope.everything()


@pytest.fixture
def services(make_settings, tmp_path):
    path = tmp_path / "a.cdx"
    lines = (f"com,a)/{n} 20200102030405 http://a.com/{n} text/html 200 - - - 1 {n} c.gz\n" for n in range(9))
    path.write_text(" CDX N b a m s k r M S V g\n" + "".join(lines))
    with open_services(make_settings()) as opened:
        opened.pipeline.ingest(IngestRequest(paths=(str(path),), project="news"))
        yield opened


def delete_one(services):
    """Delete a capture; the LSN behind it."""
    with services.database.connection() as conn:
        conn.execute("DELETE FROM cdx_records WHERE id = (SELECT id FROM cdx_records LIMIT 1)")
    with services.database.connection() as conn:
        return current_lsn(conn)


async def captures(services, **demand):
    answer = await services.router.ask("project_summary", {}, scope=ALL, **demand)
    return answer.rows[0]["captures"], answer.meta


async def test_what_was_written_is_read_back_from_postgresql_while_the_lake_is_behind(services):
    lsn = delete_one(services)
    assert (await captures(services))[0] == 9
    counted, meta = await captures(services, min_lsn=lsn)
    assert (counted, meta.engine) == (8, "postgres")
    with pytest.raises(LakeBehind):
        await captures(services, min_lsn=lsn, engine="duckdb")


async def test_and_from_the_lake_once_it_has_come_so_far(services):
    with services.sync.following():
        lsn = delete_one(services)
        counted, meta = await captures(services, min_lsn=lsn, max_lag_s=30)
    assert counted == 8
    assert meta.lag_s is not None
    services.sync.reach(lsn)
    assert (await captures(services, min_lsn=lsn))[1].engine == "duckdb"
