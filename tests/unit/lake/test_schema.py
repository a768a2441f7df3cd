"""What brings a lake to the registry, decided without a lake."""

from dataclasses import replace

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS, TABLES, Column
from chronolake.errors import SchemaMismatch
from chronolake.lake.layout import layout_named, layout_of, partition_expressions, partition_keys
from chronolake.lake.schema import plan
from chronolake.settings import Layout


def held(*tables):
    """The columns of a lake that holds `tables` as they are declared."""
    return {table.name: {column.name: column.lake for column in table.columns} for table in tables}


def test_a_lake_that_agrees_is_left_alone():
    assert plan(TABLES, held(*TABLES.values()), Layout.BUCKET) == []


def test_an_empty_lake_gets_every_table_sorted_and_partitioned():
    statements = plan(TABLES, {}, Layout.BUCKET_YEAR)
    assert [s for s in statements if s.startswith("CREATE TABLE cdx_records")]
    assert 'ALTER TABLE cdx_records SET SORTED BY ("domain" ASC NULLS LAST, "timestamp" ASC NULLS LAST)' in (
        statements
    )
    assert 'ALTER TABLE cdx_records SET PARTITIONED BY (bucket(16, "domain"), year("timestamp"))' in (
        statements
    )


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_is_made_and_small_ones_have_no_partitions(table):
    for layout in Layout:
        statements = [s for s in plan({table.name: table}, {}, layout) if f" {table.name} " in s]
        kinds = [s.partition(table.name)[2].split("(")[0].strip() for s in statements]
        small = table.bucket_by is table.time is None
        cut = ["SET PARTITIONED BY"] if layout is not Layout.NONE and not small else []
        assert kinds == ["", "SET SORTED BY", *cut]


@pytest.mark.parametrize(
    ("layout", "bucket_by", "time", "lies"),
    [
        (Layout.BUCKET, "domain", None, Layout.BUCKET),
        (Layout.BUCKET, None, "timestamp", Layout.NONE),
        (Layout.YEAR_MONTH, "domain", None, Layout.NONE),
        (Layout.YEAR_MONTH, None, "timestamp", Layout.YEAR_MONTH),
        (Layout.BUCKET_YEAR, "domain", None, Layout.NONE),
        (Layout.BUCKET_YEAR, None, "timestamp", Layout.NONE),
    ],
)
def test_a_table_without_the_columns_of_a_layout_has_no_partitions(layout, bucket_by, time, lies):
    table = replace(CDX_RECORDS, bucket_by=bucket_by, time=time)
    assert layout_of(table, layout) is lies
    assert (
        bool(partition_expressions(table, layout)) == bool(partition_keys(table, layout)) == (lies is layout)
    )
    assert "None" not in str([partition_expressions(table, layout), partition_keys(table, layout)])


def test_an_added_column_is_added_nullable():
    newer = replace(
        CDX_RECORDS, columns=(*CDX_RECORDS.columns, Column("hops", "", "integer", pa.int32(), nullable=False))
    )
    statements = plan({"cdx_records": newer}, held(CDX_RECORDS), Layout.NONE)
    assert statements == ['ALTER TABLE cdx_records ADD COLUMN "hops" INTEGER']


def test_a_widened_type_is_widened():
    present = held(CDX_RECORDS)
    present["cdx_records"]["content_length"] = "INTEGER"
    statements = plan({"cdx_records": CDX_RECORDS}, present, Layout.NONE)
    assert statements == ['ALTER TABLE cdx_records ALTER COLUMN "content_length" SET DATA TYPE BIGINT']


def test_what_newer_code_made_is_left_alone():
    present = held(CDX_RECORDS)
    present["cdx_records"] |= {"unheard_of": "VARCHAR", "status_code": "BIGINT"}
    assert plan({"cdx_records": CDX_RECORDS}, present, Layout.NONE) == []


def test_another_type_is_a_mismatch():
    present = held(CDX_RECORDS)
    present["cdx_records"]["status_code"] = "VARCHAR"
    with pytest.raises(SchemaMismatch, match="status_code is VARCHAR in the lake, declared INTEGER"):
        plan({"cdx_records": CDX_RECORDS}, present, Layout.NONE)


@pytest.mark.parametrize("layout", Layout)
def test_each_layout_is_recognised_by_its_transforms(layout):
    transforms = tuple(
        "bucket(16)" if expression.startswith("bucket") else expression.partition("(")[0]
        for expression in partition_expressions(CDX_RECORDS, layout)
    )
    assert layout_named(transforms) is layout


def test_foreign_transforms_are_no_layout_of_ours():
    assert layout_named(("identity",)) is None
