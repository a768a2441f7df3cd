"""How the lake lies on disk: partitions, order within files, compression, row groups."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronolake.capture.columns import CDX_RECORDS, TABLES
from chronolake.lake.layout import layout_of
from chronolake.settings import Layout

ROWS = 20_000


@pytest.fixture
def lake_files():
    """The capture files of a lake."""

    def _lake_files(lake):
        return sorted(Path(lake.info().path).rglob("cdx_records/**/*.parquet"))

    return _lake_files


def keys(table):
    return list(zip(table["domain"].to_pylist(), table["timestamp"].to_pylist(), strict=True))


@pytest.mark.parametrize("layout", Layout)
def test_every_file_of_every_layout_is_sorted(open_lake, staged, lake_files, layout):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    # Two batches whose domains and times interleave.
    lake.apply([staged(1, ROWS // 2), staged(2, ROWS // 2)])
    files = lake_files(lake)
    counted = 0
    for path in files:
        found = keys(pq.ParquetFile(path).read(columns=["domain", "timestamp"]))
        assert found == sorted(found), path
        counted += len(found)
    assert counted == ROWS
    info = lake.info()
    assert {table.name: table.layout for table in info.tables} == {
        table.name: layout_of(table, layout) for table in TABLES.values()
    }
    assert info.layout_note is None


def test_bucket_keeps_a_domain_in_one_file(open_lake, staged, lake_files):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="bucket")
    lake.apply([staged(1, ROWS)])
    homes = {}
    for path in lake_files(lake):
        for domain in pq.ParquetFile(path).read(columns=["domain"])["domain"].unique().to_pylist():
            homes.setdefault(domain, []).append(path)
    assert len(homes) == 40
    assert all(len(paths) == 1 for paths in homes.values())
    assert 1 < len({paths[0] for paths in homes.values()}) <= 16


def test_year_month_keeps_a_month_in_one_file(open_lake, staged, lake_files):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="year_month")
    lake.apply([staged(1, ROWS)])
    names = ["partition_year", "partition_month"]
    months = [
        {tuple(row.values()) for row in pq.ParquetFile(path).read(columns=names).to_pylist()}
        for path in lake_files(lake)
    ]
    assert all(len(found) == 1 for found in months)
    assert len(months) == len(set.union(*months)) == 120


def test_none_is_one_file(open_lake, staged, lake_files):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="none")
    lake.apply([staged(1, ROWS // 2), staged(2, ROWS // 2)])
    assert len(lake_files(lake)) == 1


@pytest.mark.parametrize("layout", ["bucket", "bucket_year"])
def test_partitions_are_noted_as_ducklake_itself_would(open_lake, staged, ask, layout):
    """Pruning believes the catalog, so what is noted of an adopted file must be true of its rows."""
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    lake.apply([staged(1, ROWS)])
    meta = "__ducklake_metadata_lake.chronolake_lake"
    noted = ask(
        lake,
        "SELECT f.path, list(v.partition_value ORDER BY v.partition_key_index)"
        f" FROM {meta}.ducklake_data_file f JOIN {meta}.ducklake_file_partition_value v USING (data_file_id)"
        " GROUP BY f.path",
    )
    assert len(noted) > 5
    for path, values in noted:
        true = ask(
            lake,
            "SELECT DISTINCT ((murmur3_32(domain) & 2147483647) % 16)::VARCHAR, year(timestamp)::VARCHAR"
            f" FROM read_parquet('{lake.info().path}/main/cdx_records/{path}', hive_partitioning = false)",
        )
        assert {row[: len(values)] for row in true} == {tuple(values)}


def test_a_year_of_a_domain_opens_one_file_only(open_lake, staged):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="bucket_year")
    lake.apply([staged(1, ROWS)])
    with lake.cursor() as cursor:
        plan = cursor.execute(
            "EXPLAIN ANALYZE SELECT sum(content_length) FROM cdx_records WHERE domain = 'host-007.example'"
            " AND timestamp >= TIMESTAMP '2018-01-01' AND timestamp < TIMESTAMP '2019-01-01'"
        ).fetchall()[0][1]
    assert "Total Files Read: 1" in plan


@pytest.mark.parametrize("layout", Layout)
def test_a_lake_below_a_folder_that_looks_like_a_partition(open_lake, staged, ask, tmp_path, layout):
    folder = tmp_path / "year=1999" / "colour=blue" / "lake"
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout, CHRONOLAKE_LAKE_PATH=str(folder))
    lake.apply([staged(1, 1000)])
    assert ask(
        lake, "SELECT count(*), min(year(timestamp)) FROM cdx_records WHERE timestamp > '2000-01-01'"
    ) == [(1000, 2015)]


@pytest.mark.parametrize("layout", Layout)
def test_ducklake_itself_can_delete_from_our_files_and_rewrite_them(
    open_lake, staged, ask, lake_files, layout
):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT=layout)
    lake.apply([staged(1, 1000)])
    lake.apply([staged(2, 1000)])
    sums = "SELECT count(*), sum(content_length), count(DISTINCT domain) FROM cdx_records"
    with lake.cursor() as cursor:
        cursor.execute("DELETE FROM cdx_records WHERE status_code = 404")
        left = cursor.execute(sums).fetchall()
        before = lake.info().tables[0]
        cursor.execute("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0)")
        cursor.execute("CALL ducklake_merge_adjacent_files('lake')")
    after = lake.info().tables[0]
    assert ask(lake, sums) == left
    assert before.rows == after.rows == left[0][0]
    assert after.files <= before.files
    lake.apply([staged(3, 1000)])
    assert lake.info().tables[0].rows == left[0][0] + 1000


def test_a_domain_question_opens_one_file_only(open_lake, staged):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="bucket")
    lake.apply([staged(1, ROWS)])
    with lake.cursor() as cursor:
        plan = cursor.execute(
            "EXPLAIN ANALYZE SELECT count(*) FROM cdx_records WHERE domain = 'host-007.example'"
            " AND status_code = 200"
        ).fetchall()[0][1]
    assert "Total Files Read: 1" in plan


@pytest.mark.parametrize("codec", ["ZSTD", "LZ4"])
def test_parquet_compression_and_row_group_size(open_lake, staged, lake_files, codec):
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="none", PARQUET_COMPRESSION=codec, PARQUET_ROW_GROUP_SIZE=4096)
    lake.apply([staged(1, ROWS)])
    (path,) = lake_files(lake)
    metadata = pq.ParquetFile(path).metadata
    sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert sum(sizes) == ROWS
    assert max(sizes) <= 4096
    column = metadata.schema.to_arrow_schema().names.index("domain")
    groups = [metadata.row_group(n).column(column) for n in range(metadata.num_row_groups)]
    assert {group.compression for group in groups} == {codec}
    # Sorted rows in small groups: what a question about one domain need not read can be told by statistics.
    ranges = [(group.statistics.min, group.statistics.max) for group in groups]
    assert ranges == sorted(ranges)
    assert len([low for low, high in ranges if low <= "host-007.example" <= high]) <= 2


def test_parquet_page_size(open_lake, staged, lake_files):
    """Smaller pages are more pages, and each has a header of its own."""

    def page_bytes(size):
        lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="none", PARQUET_PAGE_SIZE=size)
        before = set(lake_files(lake))
        lake.apply([staged(len(before) + 1, ROWS)])
        (path,) = set(lake_files(lake)) - before
        metadata = pq.ParquetFile(path).metadata
        column = metadata.schema.to_arrow_schema().names.index("warc_record_offset")
        return metadata.row_group(0).column(column).total_uncompressed_size

    # 16 distinct numbers take half a byte each within their dictionary, so these rows are three small pages.
    one_page, header_bytes = page_bytes(1_048_576), 15
    assert page_bytes(4096) > one_page + 2 * header_bytes


def test_settings_of_the_last_opener_hold(open_lake, staged, lake_files):
    open_lake(PARQUET_COMPRESSION="ZSTD")
    lake = open_lake(PARQUET_COMPRESSION="LZ4")
    lake.apply([staged(1)])
    codecs = {pq.ParquetFile(path).metadata.row_group(0).column(0).compression for path in lake_files(lake)}
    assert codecs == {"LZ4"}


def test_a_lake_keeps_its_layout_and_says_so(open_lake, staged):
    open_lake(CHRONOLAKE_LAKE_LAYOUT="year_month").close()
    lake = open_lake(CHRONOLAKE_LAKE_LAYOUT="bucket")
    lake.apply([staged(1)])
    info = lake.info()
    assert {table.layout for table in info.tables} == {"year_month", "none"}
    assert "year_month" in info.layout_note
    assert open_lake(CHRONOLAKE_LAKE_LAYOUT="year_month").info().layout_note is None


def test_partition_columns_are_real_columns_of_the_files(open_lake, staged, lake_files):
    lake = open_lake()
    lake.apply([staged(1)])
    schema = pq.ParquetFile(lake_files(lake)[0]).schema_arrow
    assert schema.names == [column.name for column in CDX_RECORDS.columns]
    assert schema.field("partition_year").type == pa.int32()
