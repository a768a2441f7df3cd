"""How a Parquet file of ours is written and made to last: the same for staged files and lake files."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chronolake.settings import ParquetSettings

#: What the system says when there is no room: none on the device, none in the quota.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Of zstd; measured against DuckDB's default of 3 on sorted captures: a quarter faster, and no larger.
ZSTD_LEVEL = 1
#: Rows that are looked at to tell whether a column's values come again. On sorted captures a dictionary for every
#: column made files 9 % larger: one that overflows is kept beside the values it did not take.
_SAMPLE_ROWS = 4096
#: A Parquet file ends in its footer's length, four bytes, and "PAR1".
_TAIL_BYTES = 8


def write_file(path: Path, rows: pa.Table, parquet: ParquetSettings) -> None:
    """Write `rows` as they come, in the compression, row groups and pages of the settings, through to the disk.

    The folder is not synced: `sync_folder` does that, once for many files.

    Raises:
        OSError: its number is one of FULL where there is no room.
    """
    with path.open("wb") as sink:
        _write(rows, sink, parquet)
        sink.flush()
        os.fsync(sink.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def footer_bytes(path: Path) -> int:
    """The length of a Parquet file's footer, which lets a reader fetch it in one go."""
    with path.open("rb") as source:
        source.seek(-_TAIL_BYTES, os.SEEK_END)
        return int.from_bytes(source.read(4), "little")


def with_field_ids(rows: pa.Table, ids: dict[str, int]) -> pa.Table:
    """`rows` with the lake's number of each column, by which DuckLake knows it whatever its name becomes."""
    fields = [
        field.with_metadata({b"PARQUET:field_id": str(ids[field.name]).encode()}) for field in rows.schema
    ]
    return pa.Table.from_arrays(rows.columns, schema=pa.schema(fields))


def names_by_field(path: Path) -> dict[int, str]:
    """What a lake file calls each of the lake's columns, by the lake's number of it."""
    found = {}
    for field in pq.read_schema(path):
        number = (field.metadata or {}).get(b"PARQUET:field_id")
        if number is not None:
            found[int(number)] = field.name
    return found


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary is worth it: of a sample, each value comes twice or more."""
    if isinstance(column.type, pa.BaseExtensionType):
        # UUIDs are keys.
        return False
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(2 * pc.count_distinct(sample).as_py() <= len(sample))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind))


def _write(rows: pa.Table, sink: BinaryIO, parquet: ParquetSettings) -> None:
    zstd = parquet.compression == "ZSTD"
    repeated = [name for name in rows.column_names if _repeats(rows[name])]
    # Numbers that differ from row to row are packed as differences, which is small and as quick to read as to copy.
    # Compressed on top of it they took longer to read than plain ones.
    packed = [field.name for field in rows.schema if _is_number(field.type) and field.name not in repeated]
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression={
            name: "none" if name in packed else parquet.compression.lower() for name in rows.column_names
        },
        compression_level={name: ZSTD_LEVEL for name in rows.column_names if name not in packed}
        if zstd
        else None,
        data_page_size=parquet.page_size,
        use_dictionary=repeated,
        column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED") or None,
        # What DuckDB skips row groups by.
        write_statistics=True,
    ) as writer:
        writer.write_table(rows, row_group_size=parquet.row_group_size)
