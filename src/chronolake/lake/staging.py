"""Staged files: what a store transaction lays down for the lake, whole or not at all.

A file appears under its name only when every byte of it is on the disk: written under a temporary name,
synced, renamed, and its folder synced. Its checksum, kept in the ledger, tells later whether it still is
what was promised.

It is an Arrow file, for it is read once and gone within seconds: Parquet costs six times as much to write and to read,
and saves a third of the bytes.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

from chronolake.capture.columns import Table
from chronolake.errors import LakeUnavailable, SchemaMismatch, StorageFull
from chronolake.lake.parquet import FULL, sync_folder

#: What costs least in all, the checksum of the bytes included.
_OPTIONS = ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class StagedFile:
    """An Arrow file that waits for the lake. `checksum` is the BLAKE2b of its bytes, as `blake2b:<hex>`."""

    path: Path
    rows: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class StagedBatch:
    """A staged file and the batch it holds; `message_lsn` is where the log speaks of it."""

    batch_id: int
    table: Table
    file: StagedFile
    message_lsn: str | None


def stage(table: Table, rows: pa.Table, path: Path) -> StagedFile:
    """Write `rows` as the Arrow file `path`; a file of that name is replaced.

    Raises:
        SchemaMismatch: `rows` has not exactly the columns that both stores hold, or a null where none may be.
        StorageFull: no room; nothing is left behind.
    """
    declared = conform(table, rows)
    temporary = path.with_name(path.name + ".tmp")
    with _storage(temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as sink:
            with ipc.new_file(sink, declared.schema, options=_OPTIONS) as writer:
                writer.write_table(declared)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    return StagedFile(
        path=path, rows=declared.num_rows, bytes=path.stat().st_size, checksum=checksum_of(path)
    )


def read_staged(path: Path) -> pa.Table:
    """The rows of a staged file, in the columns that it was staged with.

    Raises:
        SchemaMismatch: the file is missing, or is no staged file.
    """
    try:
        with pa.OSFile(str(path)) as source, ipc.open_file(source) as reader:
            return reader.read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise SchemaMismatch(f"the staged file {path} cannot be read: {error}") from error


def verify(file: StagedFile) -> bool:
    """Whether the file lies there byte for byte as it was staged; False also where it is missing."""
    try:
        return file.path.stat().st_size == file.bytes and checksum_of(file.path) == file.checksum
    except OSError:
        return False


def checksum_of(path: Path) -> str:
    """BLAKE2b of the file's bytes. It guards against damage, not against forgery."""
    with path.open("rb") as source:
        return "blake2b:" + hashlib.file_digest(source, _digest).hexdigest()


def conform(table: Table, rows: pa.Table) -> pa.Table:
    """Return `rows` as the declared columns in their order; nothing is cast.

    Raises:
        SchemaMismatch: a column is missing, undeclared or of another type, or holds a null where none may be.
    """
    declared = table.arrow_schema
    wrong = [
        *(f"{name} is missing" for name in declared.names if name not in rows.column_names),
        *(f"{name} is not declared" for name in rows.column_names if name not in declared.names),
        *(
            f"{field.name} is {rows.schema.field(field.name).type}, declared {field.type}"
            for field in declared
            if field.name in rows.column_names and rows.schema.field(field.name).type != field.type
        ),
    ]
    if not wrong:
        wrong = [
            f"{field.name} has {rows[field.name].null_count} nulls"
            for field in declared
            if not field.nullable and rows[field.name].null_count
        ]
    if wrong:
        raise SchemaMismatch(f"rows do not fit {table.name}: {'; '.join(wrong)}", table=table.name)
    return pa.Table.from_arrays([rows[name] for name in declared.names], schema=declared)


def _digest() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=32)


@contextmanager
def _storage(temporary: Path) -> Iterator[None]:
    """Leave no temporary file behind, and call a full disk by its name."""
    try:
        yield
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise StorageFull(f"no room to stage {temporary.with_suffix('')}") from error
        if isinstance(error, OSError):
            raise LakeUnavailable(
                f"{temporary.with_suffix('')} cannot be staged: {error.strerror}",
                hint="Give the folder of staged files its rights back, or set CHRONOLAKE_HOME to another.",
            ) from error
        raise
