"""Which layouts are worth a trial, and what is proposed of what was measured."""

from dataclasses import replace

import pytest

from chronolake.capture.columns import CDX_RECORDS, PROJECTS
from chronolake.lake import Way
from chronolake.query.layout_advice import FEWER_BUCKETS, MORE_BUCKETS, Measured, proposed, ways
from chronolake.settings import Layout

NOW = Way(Layout.BUCKET, 16, CDX_RECORDS.sort, 1_000_000)


def measured(way, ms, size=1000, seconds=2.0):
    return Measured(way, ms, size, 16, seconds)


def test_each_way_is_other_than_now_in_one_thing():
    found = ways(NOW, CDX_RECORDS, whole=True)
    assert found[0] == NOW
    assert len(set(found)) == len(found)
    for way in found[1:]:
        differing = [name for name in vars(NOW) if getattr(way, name) != getattr(NOW, name)]
        assert len(differing) == 1, way
    assert {way.layout for way in found} == set(Layout)
    assert {way.buckets for way in found} == {FEWER_BUCKETS, 16, MORE_BUCKETS}
    assert {way.sort for way in found} == {
        ("domain", "timestamp"), ("timestamp",), ("domain", "url_key", "timestamp"),
    }  # fmt: skip


def test_of_one_bucket_only_that_is_tried_which_needs_no_other():
    found = ways(NOW, CDX_RECORDS, whole=False)
    assert {way.layout for way in found} == {Layout.BUCKET, Layout.BUCKET_YEAR}
    assert FEWER_BUCKETS not in {way.buckets for way in found}
    by_time = ways(replace(NOW, layout=Layout.YEAR_MONTH), CDX_RECORDS, whole=False)
    assert {(way.layout, way.buckets) for way in by_time} == {(Layout.YEAR_MONTH, 16)}


def test_a_table_without_a_time_has_no_other_order():
    found = ways(Way(Layout.NONE, 16, PROJECTS.sort, 1_000_000), PROJECTS, whole=False)
    assert {way.sort for way in found} == {PROJECTS.sort}


@pytest.mark.parametrize(
    ("better", "name", "how"),
    [
        (
            replace(NOW, layout=Layout.NONE),
            "layout_cdx_records_none",
            "optimize apply layout_cdx_records_none",
        ),
        (
            replace(NOW, row_group_rows=122_880),
            "layout_cdx_records_row_groups_122880",
            "PARQUET_ROW_GROUP_SIZE=122880",
        ),
        (replace(NOW, buckets=64), "layout_cdx_records_buckets_64", "BUCKETS = 64"),
        (replace(NOW, sort=("timestamp",)), "layout_cdx_records_by_timestamp", "sort=('timestamp',)"),
    ],
)
def test_what_is_clearly_faster_is_proposed_with_what_changes_it(better, name, how):
    told = {"rows": 1000, "table_rows": 10_000, "table_bytes": 10_000}
    slow, fast = measured(NOW, 13.0), measured(better, 10.0, size=1100)
    found = proposed(CDX_RECORDS, [slow, fast, measured(replace(NOW, buckets=4), 12.0)], ratio=1.3, **told)
    assert (found.name, found.better, found.ratio) == (name, fast, 1.3)
    assert how in found.how
    assert found.is_applicable is (better.layout is Layout.NONE)
    # All rows, by what the sample took.
    assert (found.rewrite_s, found.rewrite_bytes) == (20.0, 11_000)
    assert found.document()["kind"] == "layout"
    assert proposed(CDX_RECORDS, [slow, fast], ratio=1.31, **told) is None
    assert proposed(CDX_RECORDS, [slow], ratio=1.3, **told) is None
