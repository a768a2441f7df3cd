"""SQL of others: what passes the two parsers, and what does not."""

import importlib.util
import json
from pathlib import Path

import duckdb
import pytest

from chronolake.capture.columns import TABLES
from chronolake.errors import SqlRefused
from chronolake.query import guard
from chronolake.query.adhoc import prepared
from chronolake.query.scope import Scope

_spec = importlib.util.spec_from_file_location("attacks", Path(__file__).with_name("attacks.py"))
attacks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(attacks)
EVERYTHING = Scope.everything()
ONE = Scope(frozenset({1}))


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def functions(engine):
    found = engine.execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
        " WHERE function_type IN ('scalar', 'aggregate', 'macro')"
    ).fetchall()
    return guard.harmless([name for (name,) in found])


def serialized(engine, text):
    return json.loads(engine.execute("SELECT json_serialize_sql($text)", {"text": text}).fetchone()[0])


@pytest.mark.parametrize("text", attacks.ATTACKS.values(), ids=attacks.ATTACKS)
def test_attacks_are_refused_before_any_engine_sees_them(text):
    with pytest.raises(SqlRefused) as caught:
        prepared(text, EVERYTHING, limit=10)
    assert len(caught.value.message) < 700
    assert caught.value.hint


#: What only the first parser can tell: names of its own statement, and bounds of size.
LEFT_TO_THE_FIRST = {
    "a parameter", "a CTE with a table's name", "a recursive CTE with a table's name",
    "a CTE that stands for another's table", "a CTE that stands for the captures, which domains are seen through",
    "the same in other case and quotes", "a nested CTE that stands for the captures",
    "a CTE with the name of a small table", "a CTE out of its place", "a CTE before its time",
    "a comment alone", "nothing", "nots without end", "a text without end", "describe",
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [text for name, text in attacks.ATTACKS.items() if name not in LEFT_TO_THE_FIRST],
    ids=[name for name in attacks.ATTACKS if name not in LEFT_TO_THE_FIRST],
)
def test_the_second_parser_alone_would_refuse_them_too(engine, functions, text):
    with pytest.raises(SqlRefused):
        guard.checked_again(serialized(engine, text), functions)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_can_be_named_by_itself(engine, functions, table):
    """A bare name that is also a function's, as `user` is, would be taken for it."""
    for names in (table.arrow_schema.names, ["*"]):
        text = f"SELECT {', '.join(names)} FROM {table.name}"
        for scope in (EVERYTHING, ONE):
            guard.checked_again(serialized(engine, prepared(text, scope, limit=10)[0]), functions)


@pytest.mark.parametrize("scope", [EVERYTHING, ONE], ids=["everything", "one project"])
@pytest.mark.parametrize("text", attacks.ALLOWED.values(), ids=attacks.ALLOWED)
def test_what_readers_write_passes_both(engine, functions, text, scope):
    guard.checked_again(serialized(engine, prepared(text, scope, limit=10)[0]), functions)


@pytest.mark.parametrize(
    "name", ["getenv", "PG_SLEEP", "json_serialize_plan", "has_table_privilege", "duckdb_x", "current_user"]
)
def test_functions_that_tell_or_wait_are_left_out_of_the_engines_list(name):
    assert guard.harmless([name, "lower"]) == {"lower"}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("SELECT 1", "LIMIT 11"),
        ("SELECT 1 LIMIT 5", "LIMIT 5"),
        ("SELECT 1 LIMIT 5000000", "LIMIT 11"),
        ("SELECT 1 UNION SELECT 2", "LIMIT 11"),
        ("SELECT 1 ORDER BY 1 LIMIT 7 OFFSET 2", "LIMIT 7 OFFSET 2"),
    ],
)
def test_a_limit_is_laid_over_and_a_smaller_one_kept(given, written):
    statement, values = prepared(given, EVERYTHING, limit=10)
    assert statement.endswith(written)
    assert values == {}


@pytest.mark.parametrize("given", ["LIMIT 10%", "LIMIT 1 + 1", "LIMIT (SELECT 5)", "LIMIT ALL", "LIMIT -1"])
def test_other_limits_are_refused(given):
    with pytest.raises(SqlRefused, match=r"LIMIT|read"):
        prepared(f"SELECT 1 {given}", EVERYTHING, limit=10)


def test_the_scope_is_a_value_and_only_where_a_table_is_read():
    statement, values = prepared("SELECT count(*) FROM cdx_records", ONE, limit=10)
    assert "$scope_project_ids" in statement
    assert values == {"scope_project_ids": [1]}
    assert prepared("SELECT 1", ONE, limit=10) == ("SELECT 1 LIMIT 11", {})
