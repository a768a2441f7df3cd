"""Which indexes plans and questions ask for, before any is tried."""

import json
from pathlib import Path

import pytest

from chronolake.oltp.index_trials import Trial
from chronolake.oltp.indexes import PREFIX, IndexState, name_of
from chronolake.query import QUESTIONS
from chronolake.query.explain import Compared, Condition, Step, postgres
from chronolake.query.index_advice import (
    LEAST_MS,
    LEAST_ROWS,
    IndexCandidate,
    IndexProposal,
    candidates,
    of_plan,
    of_question,
    proposals,
)
from chronolake.query.params import read

PLANS = Path(__file__).parent / "plans"
EQUAL, RANGE, OTHER = Compared


def scan(*conditions, rows_in=10_000, rows_out=10, operator="seq scan"):
    return Step(
        operator,
        table="cdx_records",
        conditions=tuple(Condition(*each) for each in conditions),
        rows_in=rows_in,
        rows_out=rows_out,
    )


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        (scan(("url", EQUAL)), [("url",)]),
        # What is equal first, then one range.
        (scan(("batch_id", RANGE), ("timestamp", RANGE), ("url", EQUAL)), [("url", "batch_id")]),
        (scan(("digest", OTHER)), []),
        (scan(("url", EQUAL), rows_out=5000), []),
        (scan(("url", EQUAL), rows_in=LEAST_ROWS - 1), []),
        (scan(("url", EQUAL), operator="index scan"), []),
        (scan(), []),
        (
            Step("sort", by=("timestamp",), rows_out=9000, steps=(scan(("url", EQUAL), rows_out=9000),)),
            [("url", "timestamp")],
        ),
        (Step("sort", by=("timestamp",), rows_out=9, steps=(scan(rows_out=9000),)), []),
        (Step("hash join", steps=(scan(("url", EQUAL)), scan(("digest", EQUAL)))), [("url",), ("digest",)]),
    ],
)
def test_a_plan_asks_for_what_would_spare_it_work(plan, wanted):
    assert [columns for _, columns in of_plan(plan)] == wanted


def test_a_real_plan_does_so_too():
    plan = postgres.normalised(json.loads((PLANS / "postgres_scan.json").read_text()))
    assert list(of_plan(plan)) == [("cdx_records", ("url", "batch_id"))]


@pytest.mark.parametrize(
    ("name", "params", "by_project", "wanted"),
    [
        ("domain_timeline", {"domain": "a.example"}, False, [("cdx_records", ("domain",))]),
        (
            "domain_timeline",
            {"domain": "a.example", "start": "2014", "end": "2015"},
            True,
            [("cdx_records", ("domain", "project_id", "timestamp"))],
        ),
        ("project_mime", {}, False, []),
        ("project_mime", {}, True, [("cdx_records", ("project_id",))]),
        ("metric_series", {"metric": "a"}, False, [("metric_samples", ("metric",))]),
    ],
)
def test_a_question_asks_for_what_it_compares(name, params, by_project, wanted):
    question = QUESTIONS[name]
    values = read(name, question.params, params).model_dump()
    assert list(dict.fromkeys(of_question(question, values, by_project=by_project))) == wanted


def state(name, columns, *, table="cdx_records", plain=True, valid=True, replident=False):
    return IndexState(name, table, columns, plain, valid, replident, False, 1000, 0, None, None)


def test_an_index_that_is_there_or_was_refused_is_no_candidate():
    found = [
        ("a", "cdx_records", ("domain",)),
        ("b", "cdx_records", ("domain",)),
        ("c", "cdx_records", ("url",)),
        ("c", "cdx_records", ("batch_id",)),
        ("d", "users", ("email",)),
    ]
    assert candidates(found, [], []) == [
        IndexCandidate("cdx_records", ("domain",), frozenset("ab")),
        IndexCandidate("cdx_records", ("url",), frozenset("c")),
        IndexCandidate("cdx_records", ("batch_id",), frozenset("c")),
    ]
    there = [
        state("one", ("domain", "timestamp")),
        state("two", ("batch_id",), plain=False),
        state("three", ("url",), valid=False),
    ]
    left = candidates(found, there, [name_of("cdx_records", ["batch_id"])])
    assert [each.columns for each in left] == [("url",)]


def test_only_what_it_made_is_its_own():
    assert state(name_of("cdx_records", ["url"]), ("url",)).is_ours
    assert not state("cdx_records_domain_time_idx", ("domain",), replident=True).is_ours
    assert not state(f"{PREFIX}x", ("domain",), replident=True).is_ours
    assert len(name_of("archive_request_attempts_of_a_long_name_and_longer", ["a", "b"])) <= 63
    assert name_of("a", ["b", "c"]) != name_of("a", ["c", "b"])


def proposal(columns, *, saved=1.0, before=100.0, after=1.0, size=1000, measured=True):
    trial = Trial(before, after, measured, 10, size, 0.5)
    return IndexProposal(IndexCandidate("cdx_records", columns, frozenset("q")), trial, "q", 3, 30.0, saved)


def test_what_saves_most_and_fits_is_proposed():
    first, second = proposal(("url",), saved=2), proposal(("digest",), saved=1, size=600)
    assert proposals([second, first], room_bytes=1600) == [first, second]
    assert proposals([second, first], room_bytes=700) == [second]
    # Another one that begins so gains little beside it.
    assert proposals([first, proposal(("url", "timestamp"))], room_bytes=1e9) == [first]
    # Chance, or next to nothing.
    assert proposals([proposal(("url",), before=LEAST_MS / 2, after=0.0)], room_bytes=1e9) == []
    assert proposals([proposal(("url",), after=80.0)], room_bytes=1e9) == []
    assert len(proposals([proposal(("url",), before=1, after=0.1, measured=False)], room_bytes=1e9)) == 1
    assert "a copy of some rows took 100.0 ms without it, 1.0 with it" in first.why
