"""SQL of others over a real lake: what it may see, and that nothing else opens."""

import importlib.util
from pathlib import Path

import duckdb
import pytest

from chronolake.errors import QueryTimeout, SqlRefused
from chronolake.query import Scope

pytestmark = pytest.mark.anyio
EVERYTHING = Scope.everything()
_spec = importlib.util.spec_from_file_location(
    "attacks", Path(__file__).parents[2] / "unit" / "query" / "attacks.py"
)
attacks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(attacks)


async def test_every_attack_is_refused_and_every_honest_query_answered(make_router, lake, filled):
    router = make_router(lake)
    for name, text in attacks.ATTACKS.items():
        with pytest.raises(SqlRefused):
            pytest.fail(f"{name}: {await router.sql(text, scope=EVERYTHING)}")
    for scope in (EVERYTHING, Scope(frozenset(filled[:1])), Scope(frozenset())):
        for text in attacks.ALLOWED.values():
            answer = await router.sql(text, scope=scope, limit=5)
            assert len(answer.rows) <= 5


async def test_the_sandbox_alone_opens_no_file(lake, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with lake.sandbox() as cursor:
        for text in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM '{secret}'",
            "SELECT * FROM read_text('/etc/passwd')",
            f"ATTACH '{tmp_path / 'x.db'}' AS x",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            "INSTALL spatial",
            "SET enable_external_access = true",
            "INSERT INTO cdx_records SELECT * FROM cdx_records",
        ):
            with pytest.raises(duckdb.Error):
                cursor.execute(text)
    assert not (tmp_path / "out.csv").exists()


async def test_the_scope_holds_in_sql_too(make_router, lake, filled):
    router = make_router(lake)
    text = "SELECT project_id, count(*) AS n FROM cdx_records GROUP BY 1 ORDER BY 1"
    everything = (await router.sql(text, scope=EVERYTHING)).rows
    assert [row["project_id"] for row in everything] == filled
    one = (await router.sql(text, scope=Scope(frozenset(filled[1:])))).rows
    assert one == everything[1:]
    assert (await router.sql(text, scope=Scope(frozenset()))).rows == []
    through = (
        "WITH RECURSIVE r AS (SELECT project_id FROM cdx_records UNION SELECT project_id FROM r)"
        " SELECT DISTINCT project_id FROM r"
    )
    assert (await router.sql(through, scope=Scope(frozenset(filled[:1])))).rows == [{"project_id": filled[0]}]


async def test_it_tells_whether_there_was_more(make_router, lake, filled):
    router = make_router(lake, CHRONOLAKE_QUERY_MAX_ROWS=50)
    text = "SELECT id FROM cdx_records ORDER BY id"
    cut = await router.sql(text, scope=EVERYTHING, limit=7)
    assert (len(cut.rows), cut.meta.truncated) == (7, True)
    assert any("7 rows" in note for note in cut.meta.notes)
    whole = await router.sql(text + " LIMIT 7", scope=EVERYTHING, limit=7)
    assert (len(whole.rows), whole.meta.truncated) == (7, False)
    assert len((await router.sql(text, scope=EVERYTHING)).rows) == 50
    assert len((await router.sql(text, scope=EVERYTHING, limit=5000)).rows) == 50


async def test_columns_of_one_name_are_all_there(make_router, lake):
    answer = await make_router(lake).sql("SELECT 1 AS a, 2 AS a, 3 AS b", scope=EVERYTHING)
    assert answer.rows == [{"a": 1, "a_2": 2, "b": 3}]
    assert answer.meta.engine == "duckdb"
    assert 0 <= answer.meta.lag_s < 600


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT no_such FROM cdx_records", "no_such"),
        ("SELECT 'x'::INTEGER", "x"),
        ("SELECT sum(url) FROM cdx_records", "sum"),
        ("SELECT nosuchfunction(1)", "nosuchfunction"),
        ("SELECT FROM WHERE", "SQL"),
    ],
)
async def test_what_the_text_gets_wrong_is_told_as_its_fault(make_router, lake, text, told):
    with pytest.raises(SqlRefused) as caught:
        await make_router(lake).sql(text, scope=EVERYTHING)
    assert told in caught.value.message


async def test_it_has_a_deadline_and_the_sandbox_lives_on(make_router, lake):
    router = make_router(lake, CHRONOLAKE_QUERY_TIMEOUT_S=0.5)
    with pytest.raises(QueryTimeout):
        await router.sql(
            "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 7",
            scope=EVERYTHING,
        )
    assert (await router.sql("SELECT 1 AS a", scope=EVERYTHING)).rows == [{"a": 1}]
