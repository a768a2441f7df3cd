"""A lake that is there and then is not: PostgreSQL stands in, and the answer says so."""

import pytest

from chronolake.errors import LakeError, LakeUnavailable
from chronolake.lake import Lake
from chronolake.query import Scope

pytestmark = pytest.mark.anyio
EVERYTHING = Scope.everything()


async def test_a_lake_that_breaks_is_stood_in_for(make_router, lake, filled, make_settings):
    router = make_router(lake)
    before = await router.ask("project_summary", {}, scope=EVERYTHING)
    files = list((make_settings().home.root / "lake").rglob("*.parquet"))
    assert files
    for file in files:
        file.write_bytes(b"no parquet")
    answer = await router.ask("source_status", {}, scope=EVERYTHING)
    assert answer.meta.engine == "postgres"
    assert "the lake failed" in answer.meta.reason
    assert sum(row["captures"] for row in answer.rows) == before.rows[0]["captures"]
    with pytest.raises(LakeError):
        await router.ask("source_status", {}, scope=EVERYTHING, engine="duckdb")


async def test_a_lake_that_was_closed_is_stood_in_for(make_router, database, make_settings):
    with Lake.open(make_settings(), database.url) as lake:
        router = make_router(lake)
    answer = await router.ask("project_summary", {}, scope=EVERYTHING)
    assert answer.meta.engine == "postgres"
    with pytest.raises(LakeUnavailable):
        await router.ask("project_summary", {}, scope=EVERYTHING, engine="duckdb")
