"""Staged files: whole or not at all."""

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import SchemaMismatch, StorageFull
from chronolake.lake import stage, verify
from chronolake.lake.staging import read_staged


def test_every_row_comes_back(tmp_path, captures):
    rows = captures(500)
    staged = stage(CDX_RECORDS, rows, tmp_path / "new" / "b.arrow")
    assert read_staged(staged.path).equals(rows)
    assert (staged.rows, staged.bytes) == (500, staged.path.stat().st_size)
    assert list(staged.path.parent.iterdir()) == [staged.path]


@pytest.mark.parametrize("harm", ["none", "gone", "cut", "flipped"])
def test_a_harmed_file_does_not_verify(tmp_path, harm, captures):
    staged = stage(CDX_RECORDS, captures(100), tmp_path / "b.arrow")
    content = bytearray(staged.path.read_bytes())
    if harm == "gone":
        staged.path.unlink()
    elif harm == "cut":
        staged.path.write_bytes(content[:-1])
    elif harm == "flipped":
        content[50] ^= 1
        staged.path.write_bytes(content)
    assert verify(staged) is (harm == "none")


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, captures):
    path = tmp_path / "b.arrow"
    # Every write to this device fails as on a full disk.
    (tmp_path / "b.arrow.tmp").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match=r"no room to stage .*b\.arrow"):
        stage(CDX_RECORDS, captures(100), path)
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_of_that_name_is_replaced(tmp_path, captures):
    path = tmp_path / "b.arrow"
    stage(CDX_RECORDS, captures(10), path)
    assert verify(stage(CDX_RECORDS, captures(20), path))
    assert read_staged(path).num_rows == 20


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
def test_rows_that_do_not_fit_the_registry_are_refused(tmp_path, spoil, said, captures):
    with pytest.raises(SchemaMismatch, match=said):
        stage(CDX_RECORDS, spoil(captures(3)), tmp_path / "b.arrow")
    assert list(tmp_path.iterdir()) == []
