"""Staged files: sorted, written as the settings say, whole or not at all."""

from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import SchemaMismatch, StorageFull
from chronolake.lake import stage, verify
from chronolake.settings import ParquetSettings

PLAIN = ParquetSettings()


def captures(count, **columns):
    """`count` captures of seven domains, unsorted; `columns` replaces or adds some."""
    made = []
    for field in CDX_RECORDS.arrow_schema:
        if field.name in columns:
            made.append(pa.array(columns[field.name], field.type))
        elif field.name == "id":
            storage = pa.array([number.to_bytes(16, "big") for number in range(count)], pa.binary(16))
            made.append(pa.ExtensionArray.from_storage(field.type, storage))
        elif field.name == "timestamp":
            made.append(pa.array([datetime(2020, 1, 1, n % 24) for n in range(count)], field.type))
        elif field.name == "domain":
            made.append(pa.array([f"host-{n * 5 % 7}.example" for n in range(count)]))
        elif field.nullable:
            made.append(pa.nulls(count, field.type))
        elif pa.types.is_string(field.type):
            made.append(pa.array([f"{field.name}-{n}" for n in range(count)]))
        else:
            made.append(pa.array([n % 2 for n in range(count)]).cast(field.type))
    return pa.Table.from_arrays(made, schema=CDX_RECORDS.arrow_schema)


def test_every_row_comes_back_sorted(tmp_path):
    rows = captures(500)
    staged = stage(CDX_RECORDS, rows, tmp_path / "new" / "b.parquet", PLAIN)
    back = pq.read_table(staged.path)
    assert back.schema.remove_metadata().equals(CDX_RECORDS.arrow_schema)
    assert back.sort_by("url").equals(rows.sort_by("url"))
    keys = list(zip(back["domain"].to_pylist(), back["timestamp"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert (staged.rows, staged.bytes) == (500, staged.path.stat().st_size)
    assert list(staged.path.parent.iterdir()) == [staged.path]


@pytest.mark.parametrize("codec", ["ZSTD", "LZ4"])
def test_parquet_compression(tmp_path, codec):
    staged = stage(
        CDX_RECORDS, captures(10), tmp_path / "b.parquet", ParquetSettings(PARQUET_COMPRESSION=codec)
    )
    group = pq.ParquetFile(staged.path).metadata.row_group(0)
    assert {group.column(n).compression for n in range(group.num_columns)} == {codec}


def test_parquet_row_group_size(tmp_path):
    parquet = ParquetSettings(PARQUET_ROW_GROUP_SIZE=2048)
    staged = stage(CDX_RECORDS, captures(5000), tmp_path / "b.parquet", parquet)
    metadata = pq.ParquetFile(staged.path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [2048, 2048, 904]


def test_parquet_page_size(tmp_path):
    """Smaller pages are more pages, and each has a header of its own."""
    # 200 distinct values are one byte each within their dictionary, so 50 000 of them are 13 small pages.
    rows = captures(50_000, content_length=[n * 7919 % 200 for n in range(50_000)])
    column = rows.column_names.index("content_length")

    def size(page_size):
        parquet = ParquetSettings(PARQUET_PAGE_SIZE=page_size)
        staged = stage(CDX_RECORDS, rows, tmp_path / "b.parquet", parquet)
        return pq.read_metadata(staged.path).row_group(0).column(column).total_uncompressed_size

    one_page, header_bytes = size(1_048_576), 15
    assert size(4096) > one_page + 12 * header_bytes


@pytest.mark.parametrize("harm", ["none", "gone", "cut", "flipped"])
def test_a_harmed_file_does_not_verify(tmp_path, harm):
    staged = stage(CDX_RECORDS, captures(100), tmp_path / "b.parquet", PLAIN)
    content = bytearray(staged.path.read_bytes())
    if harm == "gone":
        staged.path.unlink()
    elif harm == "cut":
        staged.path.write_bytes(content[:-1])
    elif harm == "flipped":
        content[50] ^= 1
        staged.path.write_bytes(content)
    assert verify(staged) is (harm == "none")


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path):
    path = tmp_path / "b.parquet"
    # Every write to this device fails as on a full disk.
    (tmp_path / "b.parquet.tmp").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match=r"no room to stage .*b\.parquet"):
        stage(CDX_RECORDS, captures(100), path, PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_of_that_name_is_replaced(tmp_path):
    path = tmp_path / "b.parquet"
    stage(CDX_RECORDS, captures(10), path, PLAIN)
    assert verify(stage(CDX_RECORDS, captures(20), path, PLAIN))
    assert pq.read_metadata(path).num_rows == 20


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.drop_columns(["url"]), "url is missing"),
        (lambda rows: rows.append_column("colour", pa.nulls(rows.num_rows)), "colour is not declared"),
        (
            lambda rows: rows.set_column(
                rows.column_names.index("status_code"), "status_code", pa.array(["200"] * rows.num_rows)
            ),
            "status_code is string, declared int32",
        ),
        (
            lambda rows: rows.set_column(
                rows.column_names.index("domain"), "domain", pa.nulls(rows.num_rows, pa.string())
            ),
            "domain has 3 nulls",
        ),
    ],
)
def test_rows_that_do_not_fit_the_registry_are_refused(tmp_path, spoil, said):
    with pytest.raises(SchemaMismatch, match=said):
        stage(CDX_RECORDS, spoil(captures(3)), tmp_path / "b.parquet", PLAIN)
    assert list(tmp_path.iterdir()) == []
