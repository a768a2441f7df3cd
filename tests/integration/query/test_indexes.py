"""Indexes of PostgreSQL: proposed for what it was asked, after a trial; made beside all other work, and taken back."""

import asyncio
import os

import psycopg
import pytest
from psycopg import sql

from chronolake.errors import DatabaseError, ParameterInvalid
from chronolake.oltp import index_trials, indexes
from chronolake.query import OptimizerTending, QueryOptimizer, Scope

EVERYTHING = Scope.everything()
OTHERS = 150_000


@pytest.fixture
def optimizer(database, filled, make_settings):
    """Without a lake, so that PostgreSQL answers; no index of ours, nothing asked and nothing done."""

    def clean():
        for state in made.indexes.states():
            if state.is_ours:
                made.indexes._drop(state.name)
        with database.connection() as conn:
            conn.execute("TRUNCATE search_history, optimizer_log RESTART IDENTITY")

    made = QueryOptimizer(database=database, lake=None, settings=make_settings())
    clean()
    yield made
    clean()


@pytest.fixture
def asked(make_router, database, optimizer):
    """Ask PostgreSQL what it answers where there is no lake, and let it have taken long."""

    def _asked(times=1, **variables):
        router = make_router(None, ANALYTICS_ENABLED="false", **variables)
        for _ in range(times):
            asyncio.run(router.ask("metric_series", {"metric": "process_open_fds"}, scope=EVERYTHING))
        router._plans._worker.shutdown()
        router.close()
        with database.connection() as conn:
            conn.execute("UPDATE search_history SET elapsed_ms = 60000")

    return _asked


@pytest.fixture
def without_the_schemas_own(database):
    """As if nobody had thought of an index that one question needs; it is there again afterwards."""
    with database.connection() as conn:
        [definition] = conn.execute(
            "SELECT pg_get_indexdef('metric_samples_metric_time_idx'::regclass)"
        ).fetchone()
        conn.execute("DROP INDEX metric_samples_metric_time_idx")
        conn.execute(
            "SELECT setval(pg_get_serial_sequence('metric_samples', 'id'), (SELECT max(id) FROM metric_samples))"
        )
        # So many that reading all of them takes longer than any noise.
        conn.execute(
            "INSERT INTO metric_samples (sampled_at, process, metric, labels, value)"
            " SELECT now(), 'other', 'of others ' || n %% 100, '{}', n FROM generate_series(1, %s) AS n",
            [OTHERS],
        )
        conn.execute("ANALYZE")
    yield
    with database.connection() as conn:
        conn.execute("DELETE FROM metric_samples WHERE process = 'other'")
        conn.execute(definition.encode())


@pytest.fixture
def half_made(database):
    """What a process leaves that is killed while it makes an index."""

    def _half_made(name):
        with database.connection() as conn:
            conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])

    return _half_made


def test_an_index_is_proposed_made_used_and_taken_back(optimizer, asked, without_the_schemas_own, database):
    asked(2)
    advice = optimizer.advice()
    assert advice.rollups == ()
    (proposal,) = advice.indexes
    assert (proposal.candidate.table, proposal.candidate.columns[0]) == ("metric_samples", "metric")
    assert proposal.times == 2
    assert proposal.seconds == 120
    assert proposal.trial.measured
    assert 0.3 < proposal.trial.gain < 1
    assert proposal.trial.rows == 1500 + OTHERS
    assert 0 < proposal.saved_s_per_day < 120 / 7
    assert proposal.figures["write_us"] >= 0
    assert proposal.document()["kind"] == "index"
    [before] = [budget for budget in advice.budgets if budget.kind == "index"]
    assert before.used_bytes == 0

    done = optimizer.carry_out(proposal)
    assert [(each["kind"], each["action"], each["name"]) for each in done] == [
        ("index", "make", proposal.name)
    ]
    (state,) = [state for state in optimizer.indexes.states() if state.is_ours]
    assert (state.name, state.columns, state.valid) == (proposal.name, proposal.candidate.columns, True)
    assert state.bytes / 3 < proposal.trial.bytes < state.bytes * 3
    assert optimizer.advice().indexes == ()
    assert optimizer.advice().budgets[0].used_bytes == state.bytes
    with pytest.raises(ParameterInvalid, match="there already"):
        optimizer.carry_out(proposal)
    (change,) = optimizer.log()
    assert (change.kind, change.action, change.name, change.automatic) == (
        "index",
        "make",
        proposal.name,
        False,
    )
    assert change.figures == proposal.figures

    optimizer.undo(change.id)
    assert not [state for state in optimizer.indexes.states() if state.is_ours]
    # Nobody's temporary table is left of the trial.
    with database.connection() as conn:
        left = conn.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()
    assert left == (0,)


def test_no_more_is_proposed_than_fits_and_none_that_is_there(
    optimizer, asked, without_the_schemas_own, database, make_settings
):
    asked()
    settings = make_settings(CHRONOLAKE_INDEX_BUDGET="1kB")
    assert QueryOptimizer(database=database, lake=None, settings=settings).advice().indexes == ()
    assert len(optimizer.indexes.advise(1)) == 1


def test_the_schemas_own_index_needs_no_other(optimizer, asked):
    asked()
    assert optimizer.indexes.advise(1) == []


def test_by_itself_it_makes_what_is_worth_it_and_drops_what_is_not_used(
    optimizer, asked, without_the_schemas_own, database
):
    loop = OptimizerTending(optimizer=optimizer)
    asked()
    (name,) = loop.step().made
    assert loop.step().made == ()
    assert optimizer.log()[0].automatic
    with database.connection() as conn:
        conn.execute("UPDATE optimizer_log SET done_at = done_at - interval '40 days'")
        conn.execute("TRUNCATE search_history")
        used = conn.execute(
            "SELECT last_idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [name]
        ).fetchone()
    # Only what was never used in that time goes.
    assert loop.step().dropped == ((name,) if used == (None,) else ())


def test_what_is_not_used_is_told_and_comes_back(optimizer, asked, without_the_schemas_own, database):
    asked()
    (proposal,) = optimizer.indexes.advise(1)
    optimizer.carry_out(proposal)
    assert optimizer.indexes.unused() == []
    with database.connection() as conn:
        conn.execute("UPDATE optimizer_log SET done_at = done_at - interval '40 days'")
    (unused,) = optimizer.advice().unused
    assert unused.why == "PostgreSQL has not used it for 30 days"
    # What a person made is not dropped without a word.
    assert optimizer.tend().dropped == ()
    optimizer.carry_out(unused)
    dropped = optimizer.log()[0]
    assert (dropped.action, dropped.kind, dropped.figures["bytes"] > 0) == ("drop", "index", True)
    optimizer.undo(dropped.id)
    assert [state.name for state in optimizer.indexes.states() if state.is_ours] == [proposal.name]
    with pytest.raises(ValueError, match="none of the optimizer's"), database.connection() as conn:
        indexes.drop(conn, "cdx_records_domain_time_idx")


def test_what_is_left_of_a_failure_is_dropped_and_told(optimizer, database, half_made):
    with database.apart("test", autocommit=True) as conn:
        name = indexes.make(conn, "metric_samples", ["value"])
        half_made(name)
        (left,) = optimizer.indexes.unused()
        assert "half made" in left.why
        optimizer.carry_out(left)
        # Two rows of one value are in the way of no plain index: a column that is not there is.
        with pytest.raises(DatabaseError, match="was not made"):
            indexes.make(conn, "metric_samples", ["no_column"])
    assert not [state for state in optimizer.indexes.states() if state.is_ours]
    optimizer.indexes._make("metric_samples", ["value"])
    half_made(name)
    # Made again, it takes the place of what was left.
    optimizer.indexes._make("metric_samples", ["value"])
    assert [state.valid for state in optimizer.indexes.states() if state.name == name] == [True]


def test_a_change_that_could_not_be_made_is_in_no_log(optimizer, asked, without_the_schemas_own, monkeypatch):
    asked()
    (proposal,) = optimizer.indexes.advise(1)
    monkeypatch.setattr(indexes, "LOCK_TIMEOUT_S", 0.05)
    with psycopg.connect(optimizer._database.url) as other:
        other.execute("LOCK TABLE chronolake.metric_samples IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(DatabaseError, match="was not made"):
            optimizer.carry_out(proposal)
    assert optimizer.log() == []


def test_a_trial_that_takes_too_long_tells_nothing(database, filled, monkeypatch):
    monkeypatch.setattr(index_trials, "STATEMENT_S", 0.05)
    slow = index_trials.Statement("SELECT pg_sleep(1) FROM cdx_records LIMIT 1", {}, 1.0)
    with database.connection() as conn:
        assert index_trials.tried(conn, "cdx_records", [(("domain",), [slow])]) == [None]


def test_pages_are_tried_through_their_view(database, filled):
    asked = index_trials.Statement(
        "SELECT count(*) FROM content_analytics WHERE language = %(l)s", {"l": "pt"}, 1.0
    )
    with database.connection() as conn:
        [trial] = index_trials.tried(conn, "pages", [(("language",), [asked])])
    assert trial.measured
    assert trial.after <= trial.before


def hypopg_is_there(database):
    """Whether the server has the extension. It is none of ours and in no wheel: `HYPOPG` names a folder with `lib` and
    `extension` in it, as HypoPG's own Makefile builds them with the pg_config of the embedded server.
    """
    folder = os.environ.get("HYPOPG")
    if folder is not None:
        with psycopg.connect(database.url, autocommit=True) as conn:
            for name, path in (
                ("extension_control_path", f"{folder}:$system"),
                ("dynamic_library_path", f"{folder}/lib:$libdir"),
            ):
                conn.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(path))
                )
            conn.execute("SELECT pg_reload_conf()")
            # A session takes new settings up between two statements.
            while conn.execute("SHOW dynamic_library_path").fetchone() != (f"{folder}/lib:$libdir",):
                pass
    with psycopg.connect(database.url) as conn:
        found = conn.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'").fetchone()
    # A folder that was named and does not hold it is an error, not a reason to skip.
    assert folder is None or found == (1,)
    return found == (1,)


def test_where_the_extension_is_postgres_plans_with_an_index_that_is_none(
    database, filled, without_the_schemas_own
):
    asked = index_trials.Statement(
        "SELECT * FROM metric_samples WHERE metric = %(m)s AND value = 0", {"m": "x"}, 1.0
    )
    if not hypopg_is_there(database):
        pytest.skip("the server has no hypopg, and HYPOPG names no folder that holds it")
    with database.connection() as conn:
        conn.execute("CREATE EXTENSION IF NOT EXISTS hypopg SCHEMA public")
    try:
        with database.connection() as conn:
            [trial] = index_trials.tried(conn, "metric_samples", [(("metric",), [asked])])
    finally:
        with database.connection() as conn:
            conn.execute("DROP EXTENSION hypopg")
    assert not trial.measured
    assert trial.gain > 0.3
    assert trial.bytes > 0
