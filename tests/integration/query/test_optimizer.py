"""The optimizer proposes what would have saved time, makes it, takes it back, and tells what it did."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chronolake.cli.app import app
from chronolake.errors import LakeError, LakeUnavailable, ParameterInvalid
from chronolake.query import OptimizerTending, QueryOptimizer, Scope

EVERYTHING = Scope.everything()
TIMELINE = {"domain": "host-5.example", "interval": "year"}


@pytest.fixture
def optimizer(database, lake, filled, make_settings):
    """With no rollup, nothing asked and nothing done."""

    def clean():
        for state in made.rollups():
            lake.rollups().drop(state.rollup.name)
        with database.connection() as conn:
            conn.execute("TRUNCATE search_history, optimizer_log RESTART IDENTITY")

    made = QueryOptimizer(database=database, lake=lake, settings=make_settings())
    clean()
    yield made
    clean()


@pytest.fixture
def asks(make_router, lake, filled):
    """Ask by a router of its own, which has written down what was asked when it returns."""

    def _asks(name, times=1, scope=EVERYTHING, engine="auto", **params):
        router = make_router(lake, CHRONOLAKE_CACHE_BYTES=0)
        for _ in range(times):
            answer = asyncio.run(router.ask(name, params, scope=scope, engine=engine))
        router.close()
        return answer

    return _asks


@pytest.fixture
def slowly(database):
    """Let all that was asked have taken long."""

    def _slowly(seconds=10):
        with database.connection() as conn:
            conn.execute("UPDATE search_history SET elapsed_ms = %s", [seconds * 1000])

    return _slowly


@pytest.fixture
def days_pass(database):
    def _days_pass(days):
        with database.connection() as conn:
            conn.execute(
                "UPDATE search_history SET searched_at = searched_at - %s * interval '1 day'", [days]
            )
            conn.execute("UPDATE optimizer_log SET done_at = done_at - %s * interval '1 day'", [days])

    return _days_pass


def names(found):
    return [proposal.name for proposal in found]


def test_what_was_asked_slowly_is_proposed_made_read_and_taken_back(optimizer, asks, slowly, lake, filled):
    plain = asks("domain_timeline", 3, **TIMELINE)
    # Who names the engine measures it.
    asks("archive_sources_comparison", engine="duckdb")
    # Captures are followed one by one: no rollup serves.
    asks("redirect_chains", domain="host-5.example")
    slowly()
    assert optimizer.advise(days=0.0) == []
    (proposal,) = optimizer.advise(days=2)
    (wanted,) = optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False)
    assert proposal.name == wanted.rollup.name
    assert proposal.why == "asked 3 times, which took 30.0 s"
    assert proposal.candidate.asked == "domain_timeline interval=year"
    assert 0 < proposal.saved_s_per_day < 15

    (made,) = optimizer.apply([proposal])
    assert abs(proposal.estimate.cells - made.cells) < 0.2 * made.cells
    size = lake.rollups().sizes()[proposal.name]
    assert size / 4 < proposal.estimate.bytes < size * 4 or made.cells < 1000
    assert optimizer.advise() == []
    rolled = asks("domain_timeline", **TIMELINE)
    assert rolled.meta.rollups == [proposal.name]
    assert rolled.rows == plain.rows
    (change,) = optimizer.log()
    assert (change.action, change.automatic, change.name, change.asked, change.why, change.undone_at) == (
        "make", False, proposal.name, "domain_timeline interval=year", proposal.why, None,
    )  # fmt: skip
    assert change.figures == proposal.figures
    assert change.figures["cells"] == proposal.estimate.cells

    optimizer.undo(change.id)
    assert optimizer.rollups() == []
    assert asks("domain_timeline", **TIMELINE).meta.rollups == []
    assert optimizer.log()[0].undone_at
    with pytest.raises(ParameterInvalid, match="already"):
        optimizer.undo(change.id)
    assert names(optimizer.advise()) == [proposal.name]


def test_what_was_dropped_comes_back_as_it_was(optimizer, asks):
    wanted = optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False)
    optimizer.make(wanted)
    assert optimizer.make(wanted) == []
    name = wanted[0].rollup.name
    optimizer.drop(name)
    dropped, made = optimizer.log()
    assert (made.action, made.why, dropped.action) == ("make", "by hand", "drop")
    assert dropped.figures["cells"] > 0
    assert dropped.figures["bytes"] > 0
    with pytest.raises(ParameterInvalid, match="gone already"):
        optimizer.undo(made.id)
    optimizer.undo(dropped.id)
    assert asks("domain_timeline", **TIMELINE).meta.rollups == [name]
    with pytest.raises(ParameterInvalid, match="no change 99"):
        optimizer.undo(99)
    with pytest.raises(ParameterInvalid, match="no rollup"):
        optimizer.drop("rollup_of_nobody")


def test_a_change_that_could_not_be_made_is_in_no_log(optimizer, lake, monkeypatch):
    wanted = optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False)
    lake.evolve(["ALTER TABLE cdx_records RENAME COLUMN status_code TO status"])
    try:
        with pytest.raises(LakeError):
            optimizer.make(wanted)
    finally:
        lake.evolve(["ALTER TABLE cdx_records RENAME COLUMN status TO status_code"])
    assert optimizer.log() == []


def test_a_rollup_that_was_begun_is_in_the_log_and_can_be_undone(optimizer, lake):
    wanted = optimizer.rollups_for("domain_timeline", {"interval": "week"}, by_project=False)
    folder = Path(lake.path) / "main" / wanted[0].rollup.name
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way of its files")
    try:
        with pytest.raises(LakeError):
            optimizer.make(wanted)
    finally:
        folder.unlink()
    (change,) = optimizer.log()
    assert [state.cells for state in optimizer.rollups()] == [None]
    optimizer.undo(change.id)
    assert optimizer.rollups() == []


def test_each_shape_has_its_rollup_what_saves_most_first(optimizer, asks, filled, database):
    first, second = filled
    for _ in range(2):
        asks("captures_by_month", interval="year", start="2014", end="2015")
    asks("captures_by_month", interval="year")
    asks("captures_by_month")
    asks("captures_by_month", scope=Scope(frozenset({first})))
    # These add up over projects, so that cells of each serve both.
    asks("captures_by_month", scope=Scope(frozenset({first, second})))
    # No rollup of months serves what does not begin with one.
    asks("captures_by_month", start="2012-02-03", interval="quarter")
    # Different URLs of several projects do not add up.
    asks("domain_timeline", scope=Scope(frozenset({first, second})), **TIMELINE)
    # Nearly each capture of these is a cell of its own.
    asks("domain_timeline", domain="host-5.example", interval="day")
    with database.connection() as conn:
        conn.execute("UPDATE search_history SET elapsed_ms = 1000")
        # Cut, of a version that had other questions, or as nobody can have asked.
        conn.execute(
            "INSERT INTO search_history (question, query_text, reason, elapsed_ms) VALUES"
            " ('domain_timeline', '{\"domain\": \"a.exa', 'analytic', 1e6), ('of yore', '{}', 'analytic', 1e6),"
            " ('domain_timeline', '[]', 'analytic', 1e6), ('domain_timeline', '{\"x\": 1}', 'analytic', 1e6)"
        )
    found = optimizer.advise(days=1)
    assert [(each.candidate.asked, each.candidate.times, each.candidate.seconds) for each in found] == [
        ("captures_by_month interval=year", 3, 3.0),
        ("captures_by_month interval=month, by project", 2, 2.0),
        ("captures_by_month interval=month", 1, 1.0),
    ]
    saved = [each.saved_s_per_day for each in found]
    assert saved == sorted(saved, reverse=True)
    assert 0.9 < saved[2] < 1


def test_no_more_is_proposed_than_fits(database, lake, make_settings, optimizer, asks, slowly):
    asks("domain_timeline", **TIMELINE)
    slowly()
    asks("captures_by_month")
    every = optimizer.advise()
    assert len(every) == 2

    def within(size):
        settings = make_settings(CHRONOLAKE_ROLLUP_BUDGET=size)
        return names(QueryOptimizer(database=database, lake=lake, settings=settings).advise())

    large, small = (proposal.estimate.bytes for proposal in every)
    assert large > small
    assert within(large + small) == names(every)
    # What saves most does not fit, so the next one does.
    assert within(large - 1) == names(every)[1:]
    optimizer.apply(every[:1])
    assert within(lake.rollups().sizes()[every[0].name] + small - 1) == []


def test_by_itself_it_makes_what_is_worth_it_and_drops_what_nobody_reads(
    optimizer, asks, slowly, days_pass, database
):
    loop = OptimizerTending(optimizer=optimizer)
    asks("domain_timeline", **TIMELINE)
    assert loop.step().made == ()
    slowly(60)
    with database.connection() as conn:
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [0x6F707469])
        assert loop.step() is None
    (name,) = loop.step().made
    assert optimizer.log()[0].automatic
    days_pass(40)
    asks("domain_timeline", **TIMELINE)
    tended = loop.step()
    assert (tended.made, tended.dropped) == ((), ())
    days_pass(31)
    assert loop.step().dropped == (name,)
    assert optimizer.rollups() == []
    assert optimizer.log()[0].why == "nobody read it for 30 days"
    # A person's word counts for more.
    optimizer.undo(optimizer.log()[0].id)
    assert loop.step().dropped == ()
    optimizer.drop(name)
    asks("domain_timeline", **TIMELINE)
    slowly(60)
    assert names(optimizer.advise()) == [name]
    assert loop.step().made == ()


def test_a_rollup_that_answers_from_the_cache_is_read(
    optimizer, make_router, lake, filled, follow, days_pass, database
):
    loop = OptimizerTending(optimizer=optimizer)
    (wanted,) = optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False)
    optimizer.make([wanted])
    with database.connection() as conn:
        conn.execute("UPDATE optimizer_log SET automatic = true")
    follow()
    router = make_router(lake)

    def asked(**demand):
        return asyncio.run(router.ask("domain_timeline", TIMELINE, scope=EVERYTHING, **demand)).meta

    assert [
        (meta.cached, meta.rollups) for meta in (asked(), asked(), asked(max_lag_s=60), asked(max_lag_s=60))
    ] == [
        (False, [wanted.rollup.name]),
        *[(True, [wanted.rollup.name])] * 3,
    ]
    days_pass(40)
    asked()
    router.close()
    # All that is left of late is what the cache answered.
    assert loop.step().dropped == ()
    days_pass(31)
    assert loop.step().dropped == (wanted.rollup.name,)


def test_what_people_made_is_never_dropped_by_itself(optimizer, days_pass):
    optimizer.make(optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False))
    days_pass(400)
    assert optimizer.tend().dropped == ()
    assert len(optimizer.rollups()) == 1


def test_without_a_lake_there_is_nothing_to_advise(database, make_settings):
    with pytest.raises(LakeUnavailable):
        QueryOptimizer(database=database, lake=None, settings=make_settings()).advise()


def test_the_commands_do_the_same(optimizer, asks, slowly, make_settings, monkeypatch):
    settings = make_settings()
    monkeypatch.setenv("DATABASE_URL", settings.database.url.get_secret_value())
    monkeypatch.setenv("CHRONOLAKE_HOME", str(settings.home.path))
    asks("domain_timeline", **TIMELINE)
    slowly()

    def run(*words):
        done = CliRunner().invoke(app, ["optimize", *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        # In this process the log is on standard output as well, where each line begins with its time.
        return (
            json.loads(re.search(r"^[\[{].*", done.stdout, re.MULTILINE | re.DOTALL)[0])
            if "--json" in words
            else done.stdout
        )

    advice = run("advise", "--json")
    (proposal,) = advice["proposals"]
    assert proposal["kind"] == "rollup"
    assert [budget["kind"] for budget in advice["budgets"]] == ["rollup", "index"]
    assert run("apply", "--all", "--dry-run", "--json") == [proposal]
    assert run("rollups", "--json") == []
    with pytest.raises(ParameterInvalid, match="not proposed"):
        run("apply", "rollup_of_nobody")
    (made,) = run("apply", proposal["name"], "--json")
    assert made["name"] == proposal["name"]
    (change,) = run("log", "--json")
    assert (change["kind"], change["name"], change["undone_at"]) == ("rollup", proposal["name"], None)
    assert "is gone" in run("undo", str(change["id"]))
    assert run("rollups", "--json") == []
    assert "by hand" not in run("log")
