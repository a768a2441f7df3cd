"""Layouts of the lake: measured with what was asked, changed where the lake can be told, and taken back."""

import asyncio
import os

import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import LakeUnavailable, ParameterInvalid
from chronolake.lake import layout_trial
from chronolake.lake.compaction import Limits
from chronolake.query import QueryOptimizer, Scope, layouts
from chronolake.query.layout_advice import LayoutProposal
from chronolake.settings import Layout

EVERYTHING = Scope.everything()
#: Few rows are dealt out to their partitions, as many are without it.
SMALL = Limits(rows=4000)
TIMELINE = {"domain": "host-5.example", "interval": "year"}


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """What is measured here is far apart."""
    monkeypatch.setattr(layouts, "ROUNDS", 1)


@pytest.fixture
def optimizer(database, lake, filled, make_settings):
    """Nothing asked and nothing done; the lake lies in buckets again afterwards."""
    with database.connection() as conn:
        conn.execute("TRUNCATE search_history, optimizer_log RESTART IDENTITY")
    yield QueryOptimizer(database=database, lake=lake, settings=make_settings())
    lake.relay(CDX_RECORDS, Layout.BUCKET)
    list(lake.compactor(SMALL).compact())


@pytest.fixture
def asks(make_router, lake, filled):
    def _asks(name="domain_timeline", scope=EVERYTHING, **params):
        router = make_router(lake, CHRONOLAKE_CACHE_BYTES=0)
        answer = asyncio.run(router.ask(name, params or TIMELINE, scope=scope))
        router.close()
        return answer.rows

    return _asks


@pytest.fixture
def by_month(lake, filled):
    """Let the lake lie by months, which are many small files."""
    lake.relay(CDX_RECORDS, Layout.YEAR_MONTH)
    list(lake.compactor(SMALL).compact())


def files(lake):
    return lake.file_counts().files["cdx_records"]


def test_a_layout_is_measured_proposed_changed_and_taken_back(optimizer, asks, lake, by_month, make_settings):
    many = files(lake)
    assert many > 50
    before = asks()
    asks(scope=Scope(frozenset({1})))
    found = optimizer.layouts.advise(1)
    assert (found.table, found.questions, found.rows, found.whole) == ("cdx_records", 2, 6000, True)
    now, *others = found.measured
    assert now.way.layout is Layout.YEAR_MONTH
    assert now.files == many
    assert all(each.asked_ms > 0 and each.bytes > 0 for each in others)
    # A domain's captures lie in one of sixteen files, and not in a hundred.
    assert found.proposal is not None
    assert found.proposal.better.way.layout in (Layout.BUCKET, Layout.NONE, Layout.BUCKET_YEAR)
    assert found.proposal.ratio >= 1.3
    assert not list((make_settings().home.root / "trials").iterdir())

    (done,) = optimizer.carry_out(found.proposal)
    assert (done["kind"], done["action"], done["name"]) == ("layout", "change", found.proposal.name)
    assert list(lake.compactor(SMALL).compact())
    assert files(lake) < many
    assert lake.layout(CDX_RECORDS) is found.proposal.better.way.layout
    assert asks() == before
    (change,) = optimizer.log()
    assert (change.kind, change.action, change.figures) == ("layout", "change", found.proposal.figures)
    optimizer.undo(change.id)
    assert lake.layout(CDX_RECORDS) is Layout.YEAR_MONTH
    assert asks() == before


def test_what_no_command_changes_is_told_how(optimizer, asks, make_settings):
    asks()
    left = make_settings().home.root / "trials" / "left by a kill"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    measured = optimizer.layouts.advise(1)
    assert not left.exists()
    told = {each["way"] for each in measured.document()["measured"]}
    assert "bucket of 64, by domain, timestamp, row groups of 1000000" in told
    other = next(each for each in measured.measured if each.way.buckets == 64)
    proposal = LayoutProposal(CDX_RECORDS, measured.measured[0], other, measured.rows, 1, 1.0)
    with pytest.raises(ParameterInvalid, match="not changed by a command") as refused:
        optimizer.carry_out(proposal)
    assert "BUCKETS = 64" in refused.value.hint
    assert optimizer.log() == []


def test_of_a_large_table_whole_domains_are_looked_at(optimizer, asks, lake, monkeypatch):
    monkeypatch.setattr(layout_trial, "SAMPLE_ROWS", 100)
    asks()
    asks("captures_by_month", interval="year")
    found = optimizer.layouts.advise(1)
    assert (found.questions, found.whole) == (2, False)
    # The domain that was asked for, in full, and no more than twice what was to be looked at.
    with lake.cursor() as cursor:
        (of_domain,) = cursor.execute(
            "SELECT count(*) FROM cdx_records WHERE domain = 'host-5.example'"
        ).fetchone()
    assert of_domain <= found.rows <= 200
    assert Layout.NONE not in {each.way.layout for each in found.measured}


def test_where_nothing_was_asked_of_the_captures_nothing_is_measured(
    optimizer, asks, database, make_settings
):
    asks("project_content_quality", project="news")
    found = optimizer.layouts.advise(1)
    assert (found.questions, found.measured, found.proposal) == (0, (), None)
    with pytest.raises(LakeUnavailable):
        QueryOptimizer(database=database, lake=None, settings=make_settings()).layouts.advise(1)
