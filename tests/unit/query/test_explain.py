"""Both engines' plans, as they told them, come to steps that do not depend on what was asked for."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronolake.lake import RESIDENT
from chronolake.oltp.query_plans import Planned, PlanTimes
from chronolake.query.explain import (
    Compared,
    Condition,
    Step,
    duckdb,
    fingerprint,
    lines,
    postgres,
    regressions,
)
from chronolake.query.explain.regression import LEAST_RUNS
from chronolake.query.explain.step import columns_of, conditions_of
from chronolake.query.wording import without_values

PLANS = Path(__file__).parent / "plans"
ENGINES = {"duckdb": duckdb, "postgres": postgres}
EQUAL, RANGE, OTHER = Compared
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def told(name):
    return json.loads((PLANS / f"{name}.json").read_text())


def normalised(name):
    return ENGINES[name.partition("_")[0]].normalised(told(name))


def scans(step):
    return [each for each in step.walk() if each.table]


@pytest.mark.parametrize("name", [path.stem for path in sorted(PLANS.iterdir())])
def test_a_plan_is_a_tree_of_steps_with_shares_of_the_time(name):
    step = normalised(name)
    assert scans(step)
    assert {each.table for each in scans(step)} == {"cdx_records"}
    assert sum(each.time_share for each in step.walk()) == pytest.approx(1, abs=0.01)
    assert Step.of_document(json.loads(json.dumps(step.document()))) == step
    assert ENGINES[name.partition("_")[0]].elapsed_ms(told(name)) > 0
    # No value of anybody's is left.
    text = json.dumps(step.document())
    assert re.search(r"host-003|2026|/lake|999", text) is None


def test_a_table_in_memory_is_the_same_step_each_time_it_was_taken_in():
    def scan(number):
        told = {"Table": f"memory.main.rollup_0a{RESIDENT}{number}", "Filters": "domain='example.com'"}
        return duckdb.normalised({"operator_type": "TABLE_SCAN", "extra_info": told, "operator_timing": 0.1})

    assert scan(3) == scan(27)
    assert scan(3).table == "rollup_0a"


def test_a_scan_of_postgres_tells_what_it_read_and_let_through():
    sort = normalised("postgres_scan")
    (scan,) = sort.steps
    assert (sort.operator, sort.by) == ("sort", ("url_key",))
    assert (scan.operator, scan.table, scan.rows_in, scan.rows_out) == ("seq scan", "cdx_records", 60_000, 1)
    assert scan.conditions == (Condition("batch_id", RANGE), Condition("url", EQUAL))
    assert scan.time_share > 0.9


def test_postgres_and_duckdb_tell_of_the_same_scope():
    by_postgres, by_duckdb = (scans(normalised(f"{engine}_timeline"))[0] for engine in ("postgres", "duckdb"))
    assert by_postgres.index is None
    assert Condition("project_id", EQUAL) in by_postgres.conditions
    assert Condition("domain", EQUAL) in by_postgres.conditions
    assert Condition("domain", EQUAL) in by_duckdb.conditions
    assert by_duckdb.rows_in is None
    assert [step.index for step in normalised("postgres_timeline").walk() if step.index] == [
        "cdx_records_domain_time_idx"
    ]


def test_a_fingerprint_is_of_the_steps_and_of_nothing_else():
    step = normalised("duckdb_top_domains")
    found = fingerprint(step)
    other = json.loads((PLANS / "duckdb_top_domains.json").read_text().replace("60000", "99"))
    assert fingerprint(duckdb.normalised(other)) == found
    assert fingerprint(replace(step, rows_out=3, time_share=0.5)) == found
    assert re.fullmatch("[0-9a-f]{16}", found)
    for changed in (
        replace(step, operator="sort"),
        replace(step, table="pages"),
        replace(step, index="an_index"),
        replace(step, conditions=(Condition("url", EQUAL),)),
        replace(step, by=("url",)),
        replace(step, steps=step.steps[:1]),
    ):
        assert fingerprint(changed) != found


def test_files_without_a_row_that_is_asked_for_are_no_part_of_a_plan():
    assert "empty_result" in json.dumps(told("duckdb_timeline")).lower()
    assert [
        step for step in normalised("duckdb_timeline").walk() if step.operator in ("union", "empty_result")
    ] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "((project_id = ANY ('{1,2}'::integer[])) AND (domain = 'x''y'::text) AND (\"timestamp\" >= '2014-01-01'::date))",
            {("project_id", EQUAL), ("domain", EQUAL), ("timestamp", RANGE)},
        ),
        ("((status_code >= 200) AND (status_code <= 299))", {("status_code", RANGE)}),
        ("(lower(url) ~~ '%x%'::text)", {("url", OTHER)}),
        ("(lower(url) = 'x'::text)", {("url", OTHER)}),
        ("(a.domain = b.domain)", {("domain", OTHER)}),
        ("((url = 'a'::text) OR (domain = 'b'::text))", {("url", OTHER), ("domain", OTHER)}),
        ("(url_key IS NOT NULL)", {("url_key", OTHER)}),
        ("((digest)::text <> 'x'::text)", {("digest", OTHER)}),
        ("((value COLLATE \"C\") = 'x'::text)", {("value", EQUAL)}),
        ("))) what is this (((", set()),
    ],
)
def test_a_text_of_a_plan_tells_which_columns_are_compared_how(text, wanted):
    found = conditions_of(text, "postgres")
    assert {(each.column, each.compared) for each in found} == wanted
    assert list(found) == sorted(found)


def test_columns_that_are_sorted_by_stand_alone():
    keys = [
        'cdx_records."timestamp" DESC',
        "(count(*)) DESC",
        "url_key",
        'cdx_records.url COLLATE "C"',
        "(((((",
    ]
    assert columns_of(keys, "postgres") == ("timestamp", "url_key", "url")


def test_people_read_a_line_a_step():
    shown = list(lines(normalised("postgres_scan")))
    assert shown[0].startswith("sort ordered by url_key (1 to 1 rows")
    assert shown[1].startswith("  seq scan on cdx_records where batch_id range, url equal (60000 to 1 rows")


def test_sql_is_told_without_its_values():
    assert without_values("SELECT 'a', 5 FROM cdx_records WHERE url LIKE '%secret%'") == (
        "SELECT ?, ? FROM cdx_records WHERE url LIKE ?"
    )
    assert without_values("SELECT FROM (((") == "sql"


def plan(fingerprint_, first, last, median_ms, runs=LEAST_RUNS, shape="s", engine="duckdb"):
    planned = Planned(shape, engine, fingerprint_, "top_domains", "top_domains", {})
    return PlanTimes(planned, NOW + timedelta(hours=first), NOW + timedelta(hours=last), runs, median_ms)


@pytest.mark.parametrize(
    ("plans", "wanted"),
    [
        ([plan("old", 0, 1, 10), plan("new", 2, 3, 20)], [("old", "new")]),
        # Not by enough, not often enough, and the other way round.
        ([plan("old", 0, 1, 10), plan("new", 2, 3, 14)], []),
        ([plan("old", 0, 1, 10), plan("new", 2, 3, 20, runs=LEAST_RUNS - 1)], []),
        ([plan("old", 0, 1, 10, runs=LEAST_RUNS - 1), plan("new", 2, 3, 20)], []),
        ([plan("old", 0, 1, 20), plan("new", 2, 3, 10)], []),
        # Back to what was before, which is slower, but not new.
        ([plan("old", 0, 5, 20), plan("new", 2, 3, 10)], []),
        # The one that was taken last counts.
        ([plan("older", 0, 4, 10), plan("old", 1, 2, 19), plan("new", 3, 5, 20)], [("older", "new")]),
        ([plan("old", 0, 1, 10, shape="t"), plan("new", 2, 3, 20)], []),
        ([plan("old", 0, 1, 10, engine="postgres"), plan("new", 2, 3, 20)], []),
    ],
)
def test_what_is_new_and_slower_than_before_has_regressed(plans, wanted):
    found = regressions(plans, 1.5)
    assert [(each.former.planned.fingerprint, each.now.planned.fingerprint) for each in found] == wanted
