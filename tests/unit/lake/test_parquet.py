"""Parquet files: written as the settings say."""

import duckdb
import pyarrow.parquet as pq
import pytest

from chronolake.lake.parquet import write_file
from chronolake.settings import ParquetSettings


@pytest.mark.parametrize("codec", ["ZSTD", "LZ4"])
def test_parquet_compression(tmp_path, codec, captures):
    path = tmp_path / "b.parquet"
    write_file(path, captures(10), ParquetSettings(PARQUET_COMPRESSION=codec))
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    assert {column.compression for column in columns if not packed(column)} == {codec}


def packed(column):
    return "DELTA_BINARY_PACKED" in column.encodings


def test_numbers_that_differ_are_packed_and_left_so(tmp_path, captures):
    path = tmp_path / "b.parquet"
    sizes = [n * n for n in range(5000)]
    rows = captures(5000, content_length=[None, *sizes[1:]])
    write_file(path, rows, ParquetSettings())
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = {column.path_in_schema: column for column in (group.column(n) for n in range(group.num_columns))}
    assert packed(found["content_length"])
    assert found["content_length"].compression == "UNCOMPRESSED"
    # Keys of projects come again, texts and truths are no numbers.
    assert not any(packed(found[name]) for name in ("project_id", "url", "timestamp_repaired"))
    assert pq.read_table(path)["content_length"].to_pylist() == [None, *sizes[1:]]
    engine = duckdb.sql(f"SELECT sum(content_length), count(content_length) FROM '{path}'")
    assert engine.fetchall() == [(sum(sizes), 4999)]


def test_parquet_row_group_size(tmp_path, captures):
    parquet = ParquetSettings(PARQUET_ROW_GROUP_SIZE=2048)
    path = tmp_path / "b.parquet"
    write_file(path, captures(5000), parquet)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [2048, 2048, 904]


def test_parquet_page_size(tmp_path, captures):
    """Smaller pages are more pages, and each has a header of its own."""
    # 200 distinct values are one byte each within their dictionary, so 50 000 of them are 13 small pages.
    rows = captures(50_000, content_length=[n * 7919 % 200 for n in range(50_000)])
    column = rows.column_names.index("content_length")

    def size(page_size):
        path = tmp_path / "b.parquet"
        write_file(path, rows, ParquetSettings(PARQUET_PAGE_SIZE=page_size))
        return pq.read_metadata(path).row_group(0).column(column).total_uncompressed_size

    one_page, header_bytes = size(1_048_576), 15
    assert size(4096) > one_page + 12 * header_bytes
