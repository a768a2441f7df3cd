"""Rows of PostgreSQL joined to the lake's facts: a project that was renamed a moment ago has its new name."""

from datetime import UTC, datetime

import pytest

from chronolake.oltp import projects
from chronolake.query import QueryOptimizer, Scope
from chronolake.query.live import NOTE
from chronolake.query.route import Reason

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("filled")]
EVERYTHING = Scope.everything()


@pytest.fixture
def rename(database, filled):
    """Give the second project another name; it has its own again at the end."""

    def _rename(name):
        with database.connection() as conn:
            conn.execute("UPDATE projects SET name = %s WHERE id = %s", [name, filled[1]])

    yield _rename
    _rename("blogs")


def names(answer):
    return {row["project_id"]: row["project"] for row in answer.rows}


async def test_a_new_name_stands_beside_the_lakes_facts_at_once(make_router, lake, filled, rename):
    router, params = make_router(lake), {"projects": [str(number) for number in filled]}
    before = await router.ask("projects_comparison", params, scope=EVERYTHING)
    assert (before.meta.engine, names(before)[filled[1]]) == ("duckdb", "blogs")
    assert NOTE in before.meta.notes
    # Kept, and kept under the names that it was true of.
    assert (await router.ask("projects_comparison", params, scope=EVERYTHING)).meta.cached
    rename("diaries")
    after = await router.ask("projects_comparison", params, scope=EVERYTHING)
    assert (after.meta.engine, after.meta.cached) == ("duckdb", False)
    assert names(after) == {filled[0]: "news", filled[1]: "diaries"}
    facts = [{**row, "project": None} for row in before.rows]
    assert [{**row, "project": None} for row in after.rows] == facts
    assert (await router.ask("projects_comparison", params, scope=EVERYTHING)).meta.cached
    for engine in ("duckdb", "postgres"):
        named = await router.ask("projects_comparison", params, scope=EVERYTHING, engine=engine)
        assert named.rows == after.rows
    rename("blogs")
    again = await router.ask("projects_comparison", params, scope=EVERYTHING)
    assert (again.meta.cached, again.rows) == (True, before.rows)


async def test_what_was_is_told_by_the_names_of_then(make_router, lake, filled, rename):
    router, params = make_router(lake), {"projects": "news,blogs"}
    then = datetime.now(UTC)
    rename("diaries")
    past = await router.ask(
        "projects_comparison", {"projects": [str(filled[1])]}, scope=EVERYTHING, as_of=then
    )
    assert names(past) == {filled[1]: "blogs"}
    assert NOTE not in past.meta.notes
    rename("blogs")
    assert names(await router.ask("projects_comparison", params, scope=EVERYTHING))[filled[1]] == "blogs"


async def test_a_name_out_of_scope_is_not_shown(make_router, lake, filled, rename):
    rename("secret diaries")
    answer = await make_router(lake).ask(
        "projects_comparison", {"projects": "news"}, scope=Scope(frozenset(filled[:1]))
    )
    assert names(answer) == {filled[0]: "news"}


async def test_a_project_that_the_lake_has_not_heard_of_has_a_name_and_no_captures(
    make_router, lake, database
):
    with database.connection() as conn:
        new = projects.ensure(conn, "born just now")
    try:
        answer = await make_router(lake).ask(
            "projects_comparison", {"projects": ["born just now", "news"]}, scope=EVERYTHING
        )
        assert answer.meta.engine == "duckdb"
        assert [row["captures"] for row in answer.rows if row["project_id"] == new] == [0]
    finally:
        with database.connection() as conn:
            conn.execute("DELETE FROM projects WHERE id = %s", [new])


async def test_rollups_are_joined_to_names_of_now(
    make_router, make_settings, lake, database, filled, follow, rename
):
    optimizer = QueryOptimizer(database=database, lake=lake, settings=make_settings())
    optimizer.make(optimizer.rollups_for("projects_comparison", {}, by_project=True))
    follow()
    rename("diaries")
    answer = await make_router(lake).ask(
        "projects_comparison", {"projects": "news,diaries"}, scope=EVERYTHING
    )
    assert answer.code is Reason.ROLLUP
    assert names(answer) == {filled[0]: "news", filled[1]: "diaries"}
