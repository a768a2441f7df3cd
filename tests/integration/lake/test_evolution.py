"""A lake made by an older version meets a newer registry, and the other way round."""

from dataclasses import replace

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS, CONTENT_ANALYTICS, Column
from chronolake.errors import SchemaMismatch
from chronolake.lake import lake as lake_module

WITH_HOPS = replace(
    CDX_RECORDS, columns=(*CDX_RECORDS.columns, Column("hops", "links followed to it", "integer", pa.int32()))
)
NARROWER = replace(
    CDX_RECORDS,
    columns=tuple(
        replace(column, arrow=pa.int32(), postgres="integer") if column.name == "content_length" else column
        for column in CDX_RECORDS.columns
    ),
)


@pytest.fixture
def registry(monkeypatch):
    """Let the registry declare another `cdx_records`."""

    def _registry(table):
        tables = {table.name: table, CONTENT_ANALYTICS.name: CONTENT_ANALYTICS}
        monkeypatch.setattr(lake_module, "TABLES", tables)
        return table

    return _registry


def test_an_added_column_is_null_in_old_files_and_set_in_new_ones(open_lake, staged, captures, registry, ask):
    older = open_lake()
    older.apply([staged(1)])
    # Staged by the older version, carried by the newer one.
    left = staged(2)
    older.close()
    table = registry(WITH_HOPS)
    newer = open_lake()
    newer.apply([left])
    rows = captures(100, first=900_000, table=table)
    newer.append(
        table, rows.set_column(rows.column_names.index("hops"), "hops", pa.array([7] * 100, pa.int32()))
    )
    assert ask(newer, "SELECT hops, count(*) FROM cdx_records GROUP BY hops ORDER BY hops NULLS FIRST") == [
        (None, 200),
        (7, 100),
    ]


def test_an_older_version_reads_and_writes_a_newer_lake(open_lake, staged, registry, ask):
    registry(WITH_HOPS)
    open_lake().close()
    registry(CDX_RECORDS)
    older = open_lake()
    older.apply([staged(1)])
    assert ask(older, "SELECT count(*), count(hops) FROM cdx_records") == [(100, 0)]
    assert ask(open_lake(read_only=True), "SELECT count(url) FROM cdx_records") == [(100,)]


def test_a_widened_column_holds_old_and_larger_numbers(open_lake, staged, captures, registry, ask):
    table = registry(NARROWER)
    older = open_lake()
    older.append(table, captures(10, table=table))
    older.close()
    registry(CDX_RECORDS)
    newer = open_lake()
    newer.apply([staged(1)])
    rows = captures(1, first=500_000)
    large = pa.array([2**40], pa.int64())
    newer.append(
        CDX_RECORDS, rows.set_column(rows.column_names.index("content_length"), "content_length", large)
    )
    assert ask(newer, "SELECT count(*), min(content_length), max(content_length) FROM cdx_records") == [
        (111, 0, 2**40)
    ]


def test_a_column_of_another_kind_is_refused(open_lake, registry):
    registry(
        replace(
            CDX_RECORDS,
            columns=tuple(
                replace(column, arrow=pa.string()) if column.name == "status_code" else column
                for column in CDX_RECORDS.columns
            ),
        )
    )
    open_lake().close()
    registry(CDX_RECORDS)
    with pytest.raises(SchemaMismatch, match="status_code is VARCHAR in the lake, declared INTEGER"):
        open_lake()
