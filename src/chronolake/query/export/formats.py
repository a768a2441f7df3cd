"""The formats of an export: each writes the rows of a statement to a file, none holds them all in memory."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import xlsxwriter
from pyarrow import ipc
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from chronolake.errors import OutputError, ParameterInvalid
from chronolake.lake.engine import identifier, quoted
from chronolake.settings import ParquetSettings

#: Rows that are turned into Arrow at a time.
_PIECE_ROWS = 50_000
#: Of one sheet, less its header (Microsoft, "Excel specifications and limits").
SHEET_ROWS = 1_048_575
#: In one cell, by the same page.
_CELL_CHARACTERS = 32_767
_DAY, _TIME = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
_OTHER_FORMAT = "Export as parquet or csv, or narrow the export."
#: Times in texts: UTC, and they say so.
_TIMES = "'%Y-%m-%dT%H:%M:%S.%fZ'"


class Format(StrEnum):
    """What an export can be written as; the value is the suffix of its files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    ARROW = "arrow"
    XLSX = "xlsx"

    @classmethod
    def of(cls, path: Path, named: str | None) -> "Format":
        """The format that is named, else the one that the path's suffix says.

        Raises:
            ParameterInvalid: neither says one.
        """
        said = named if named is not None else path.suffix.lstrip(".").lower()
        try:
            return cls(said)
        except ValueError:
            raise ParameterInvalid(
                f"{said!r} is no format of an export" if said else f"{path} does not say in which format",
                hint=f"Name one: {', '.join(cls)}.",
                parameter="format",
            ) from None


Write = Callable[[duckdb.DuckDBPyConnection, str, Mapping[str, Any], Path], int]


def writer_of(format_: Format, parquet: ParquetSettings, *, always_quoted: Sequence[str] = ()) -> Write:
    """What writes the rows of a statement with its values to a path, and tells how many they were.

    In CSV the columns `always_quoted` have quotes around each text.
    """
    if format_ is Format.ARROW:
        return _arrow
    if format_ is Format.XLSX:
        return _xlsx
    options = {
        Format.PARQUET: f"FORMAT parquet, COMPRESSION {parquet.compression.lower()},"
        f" ROW_GROUP_SIZE {parquet.row_group_size}",
        Format.CSV: f"FORMAT csv, HEADER true, TIMESTAMPFORMAT {_TIMES}"
        + (f", FORCE_QUOTE ({', '.join(map(identifier, always_quoted))})" if always_quoted else ""),
        Format.JSONL: f"FORMAT json, TIMESTAMPFORMAT {_TIMES}",
    }[format_]

    def copy(cursor: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any], path: Path) -> int:
        row = cursor.execute(f"COPY ({text}) TO {quoted(str(path))} ({options})", dict(values)).fetchone()
        return int(row[0]) if row else 0

    return copy


def _arrow(cursor: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any], path: Path) -> int:
    rows = 0
    options = ipc.IpcWriteOptions(compression="zstd")
    with (
        cursor.execute(text, dict(values)).to_arrow_reader(_PIECE_ROWS) as reader,
        path.open("wb") as sink,
        ipc.new_file(sink, reader.schema, options=options) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _xlsx(cursor: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any], path: Path) -> int:
    """One sheet, written row by row; texts stay texts, also those that look like formulas or links."""
    # Of the sheet one row is held; those that are written wait in a temporary file on the same disk.
    with TemporaryDirectory(dir=path.parent, prefix=".chronolake-") as scratch:
        options = {"constant_memory": True, "tmpdir": scratch, "nan_inf_to_errors": True}
        try:
            with xlsxwriter.Workbook(path, options) as book:
                return _sheet(book, cursor.execute(text, dict(values)))
        except FileCreateError as error:
            # It has the error of the disk within.
            raise OSError(*error.args[0].args) from error


def _sheet(book: xlsxwriter.Workbook, cursor: duckdb.DuckDBPyConnection) -> int:
    rows = 0
    sheet = book.add_worksheet("chronolake")
    with cursor.to_arrow_reader(_PIECE_ROWS) as reader:
        writers = [_cell_writer(book, sheet, field) for field in reader.schema]
        for place, name in enumerate(reader.schema.names):
            sheet.write_string(0, place, name)
        for batch in reader:
            if rows + batch.num_rows > SHEET_ROWS:
                raise OutputError(f"there are more rows than the {SHEET_ROWS} of a sheet", hint=_OTHER_FORMAT)
            for record in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                rows += 1
                for place, (write, value) in enumerate(zip(writers, record, strict=True)):
                    if value is not None:
                        write(rows, place, value)
    return rows


def _cell_writer(
    book: xlsxwriter.Workbook, sheet: Worksheet, field: pa.Field
) -> Callable[[int, int, Any], Any]:
    """What writes a value of the field into a row and a column."""
    kind = field.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        plain: Callable[[int, int, Any], Any] = (
            sheet.write_boolean if pa.types.is_boolean(kind) else sheet.write_number
        )
        return plain
    if pa.types.is_temporal(kind):
        style = book.add_format({"num_format": _DAY if pa.types.is_date(kind) else _TIME})
        return lambda row, place, value: sheet.write_datetime(row, place, value, style)

    def write(row: int, place: int, value: Any) -> None:
        told = str(value)
        if len(told) > _CELL_CHARACTERS:
            raise OutputError(
                f"row {row}: {field.name} is longer than the {_CELL_CHARACTERS} characters of a cell",
                hint=_OTHER_FORMAT,
            )
        sheet.write_string(row, place, told)

    return write
