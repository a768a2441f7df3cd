"""What brings a lake to the registry, decided without a lake."""

from dataclasses import replace

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS, TABLES, Column
from chronolake.errors import SchemaMismatch
from chronolake.lake.layout import layout_named, partition_expressions
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
