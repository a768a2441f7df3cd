"""When a rollup may answer: fresh enough, and with its cells in the snapshot that is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlglot

from chronolake.lake import RollupState
from chronolake.query import QUESTIONS, Scope
from chronolake.query.freshness import Demand, Freshness
from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Interval
from chronolake.query.rollup import Planner, blocks, derived, rewritten, shaped, wanted
from chronolake.query.rollup.plan import shape_of
from chronolake.query.text import tables_read

QUESTION = QUESTIONS["source_trend"]
VALUES = {"interval": Interval.MONTH, "start": EARLIEST, "end": LATEST}
FRESH = Freshness("0/500", datetime.now(UTC), 0.1, snapshot_id=8)


def made(*, by_project=False):
    """A state of the rollup that the question derives, current and whole in snapshot 8."""
    (block,) = blocks(shaped(QUESTION.tree, VALUES), VALUES)
    rollup = derived(block, by_project=by_project)
    rollup = replace(
        rollup,
        dimensions=tuple(
            replace(found, kind="DATE" if found.name.startswith("d") else "VARCHAR")
            for found in rollup.dimensions
        ),
        measures=tuple(replace(found, kind="BIGINT") for found in rollup.measures),
    )
    now = datetime.now(UTC)
    return RollupState(
        rollup=rollup, asked="", snapshot_id=7, held_in=8, current=True, lsn="0/400",
        noted_at=now - timedelta(seconds=30), cells=10, seconds=1.0, error=None, refreshed_at=now,
    )  # fmt: skip


def plan(state, *, demand=None, scope=None, **values):
    return Planner().plan(
        QUESTION,
        VALUES | values,
        scope or Scope.everything(),
        [state],
        fresh=FRESH,
        demand=demand or Demand(),
    )


def test_a_current_rollup_answers_as_of_the_lake():
    found = plan(made())
    assert found.names == (made().rollup.name,)
    assert found.fresh is FRESH
    assert made().rollup.name in found.statement.text
    assert found.values == {}


@pytest.mark.parametrize("held_in", [None, 9])
def test_cells_that_the_snapshot_lacks_are_not_read(held_in):
    assert plan(replace(made(), held_in=held_in)) is None


def test_one_that_is_behind_serves_who_allows_it_and_says_how_far():
    behind = replace(made(), current=False)
    assert plan(behind) is None
    assert plan(behind, demand=Demand(max_lag_s=10)) is None
    found = plan(behind, demand=Demand(max_lag_s=600))
    assert found.fresh.as_of_lsn == "0/400"
    assert 30 <= found.fresh.lag_s < 600
    assert plan(behind, demand=Demand(min_lsn=0x450, max_lag_s=600)) is None


@pytest.mark.parametrize(
    ("start", "end", "serves"),
    [
        (datetime(2014, 1, 1), datetime(2014, 12, 31, 23, 59, 59, 999_999), True),
        (datetime(2014, 3, 1), LATEST, True),
        (EARLIEST, datetime(2014, 2, 28, 23, 59, 59, 999_999), True),
        (datetime(2014, 1, 2), LATEST, False),
        (EARLIEST, datetime(2014, 2, 27, 23, 59, 59, 999_999), False),
        (EARLIEST, datetime(2014, 2, 28, 23, 59, 59, 999_998), False),
    ],
)
def test_a_time_range_is_served_where_it_begins_and_ends_with_a_period(start, end, serves):
    found = plan(made(), start=start, end=end)
    assert (found is not None) == serves
    if found:
        assert found.values == {"start": start, "end": end}


def test_a_scope_needs_cells_by_project():
    assert plan(made(), scope=Scope(frozenset({1}))) is None
    found = plan(made(by_project=True), scope=Scope(frozenset({1, 2})))
    assert found.values == {"scope_project_ids": [1, 2]}
    assert plan(made(by_project=True)) is not None


def test_another_interval_is_another_rollup():
    assert plan(made(), interval=Interval.YEAR) is None


def test_statements_are_kept_by_shape():
    planner = Planner()
    asked = [
        planner.plan(
            QUESTION, VALUES | {"start": start}, Scope.everything(), [made()], fresh=FRESH, demand=Demand()
        )
        for start in (datetime(2014, 2, 1), datetime(2014, 3, 1), datetime(2014, 1, 1))
    ]
    first, second, year = (found.statement for found in asked)
    assert first is second
    assert year is not first


def typed(rollup):
    """As the engine would have told the types."""
    return replace(
        rollup,
        dimensions=tuple(replace(found, kind="VARCHAR") for found in rollup.dimensions),
        measures=tuple(replace(found, kind="BIGINT") for found in rollup.measures),
    )


NAMED = """
WITH top AS (SELECT domain FROM pages_of_others LIMIT 3), contents AS (
SELECT domain, count(DISTINCT digest) AS digests FROM cdx_records
WHERE {condition} AND "timestamp" BETWEEN $start AND $end GROUP BY domain
)
SELECT * FROM contents
"""


def rewritten_of(condition, *, values=VALUES):
    """The statement over the rollup that it derives; null where it has no block, or its rollup does not serve."""
    tree = sqlglot.parse_one(NAMED.format(condition=condition), read="duckdb")
    found = list(blocks(shaped(tree, values), values))
    if not found:
        return None
    rollup = typed(derived(found[0], by_project=False))
    assert [dimension.expression for dimension in rollup.dimensions] == ["domain"]
    now = rewritten(tree, values, Scope.everything(), [(rollup, 1)])
    return None if now is None else now.tree.sql(dialect="duckdb").replace(rollup.name, "cells")


def test_groups_that_another_part_names_are_taken_from_the_cells():
    """As the digests of the foremost domains are, which another part finds."""
    assert rewritten_of("domain IN (SELECT domain FROM top)") == (
        "WITH top AS (SELECT domain FROM pages_of_others LIMIT 3), contents AS ("
        'SELECT "domain" AS "domain", "m1" AS digests FROM cells '
        'WHERE "domain" IN (SELECT domain FROM top)) SELECT * FROM contents'
    )


@pytest.mark.parametrize(
    "condition",
    [
        # Of rows, not of groups.
        "url IN (SELECT domain FROM top)",
        # Another table is read, or a value.
        "domain IN (SELECT domain FROM domains)",
        "domain IN (SELECT domain FROM top WHERE domain <> $other)",
        "domain NOT IN (SELECT domain FROM top)",
    ],
)
def test_other_parts_of_a_statement_decide_nothing_else(condition):
    assert rewritten_of(condition) is None


def test_the_foremost_domains_read_no_captures():
    question = QUESTIONS["top_domains"]
    values = question.params().model_dump()
    rollups = [
        (typed(derived(block, by_project=False)), 1)
        for block in blocks(shaped(question.tree, values), values)
    ]
    assert len(rollups) == 2
    found = rewritten(question.tree, values, Scope.everything(), rollups)
    assert len(found.rollups) == 2


def test_parts_of_the_same_groups_share_a_rollup():
    question = QUESTIONS["top_domains"]
    values = question.params().model_dump()
    tree = shaped(question.tree, values)
    parts = [derived(block, by_project=False) for block in blocks(tree, values)]
    (shared,) = wanted(tree, values, by_project=False)
    expressions = {measure.expression for part in parts for measure in part.measures}
    assert {measure.expression for measure in shared.measures} == expressions
    assert len({measure.name for measure in shared.measures}) == len(shared.measures)
    found = rewritten(tree, values, Scope.everything(), [(typed(shared), 1)])
    assert [table.name for table in tables_read(found.tree)].count(shared.name) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # 1996 and 2018 begin with a Monday, 2017 ends with a Sunday: with them all periods begin or end.
        ({"start": "1996"}, {}),
        ({"start": "2018"}, {}),
        ({"end": "2017"}, {}),
        ({"start": "1996", "end": "2017"}, {"start": "1996"}),
    ],
)
def test_a_range_is_never_taken_for_an_open_one(one, other):
    params = QUESTIONS["domain_statistics"].params
    shapes = [shape_of(params(domain="a.example", **given).model_dump()) for given in (one, other)]
    assert shapes[0] != shapes[1]
