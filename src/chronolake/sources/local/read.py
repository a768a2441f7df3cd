"""`read_captures`: any file that holds captures, as raw batches, every line accounted for."""

import json
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, BinaryIO

import pyarrow as pa
import zstandard

from chronolake.capture.record import RawBatch, Reason
from chronolake.errors import ChronolakeError, FormatUnknown, InputUnreadable
from chronolake.sources.local import archive, cdx, columnar, jsons, links
from chronolake.sources.local.detect import HEAD_BYTES, Detected, Format, detect
from chronolake.sources.local.inputs import InputFile, Source, expand, opened
from chronolake.sources.local.lines import Block, blocks
from chronolake.sources.local.raw import GATHERED_ROWS, Parsed, Refused, Rows, name_of, text_of
from chronolake.sources.local.tally import Tally

#: A JSON document on one line has to be held whole: at most this many bytes.
_WHOLE_BYTES = 256 << 20
#: What the libraries beneath raise where a file is not what they expect, or its disk fails.
_LIBRARY_ERRORS = (
    OSError,
    EOFError,
    UnicodeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zstandard.ZstdError,
    pa.ArrowException,
)
_ARCHIVES = (".warc", ".warc.gz", ".arc", ".arc.gz")


def read_captures(
    paths: Sequence[str],
    *,
    max_line_bytes: int,
    batch_rows: int,
    stdin: BinaryIO | None = None,
    on_error: Callable[[ChronolakeError], None] | None = None,
) -> Iterator[RawBatch]:
    """Read files, folders, globs or `-` (`stdin`), formats told by content.

    `read` of all batches together is the number of data lines; each stands in a table or among the rejected. A
    batch has at most some ten thousand rows, or `batch_rows` of Parquet, whatever the file's size.

    Raises:
        InputError: a file cannot be read at all. With `on_error` it is handed there, and the next file comes.
    """
    before = 0
    for file in expand(paths):
        try:
            with _told_by_name(file), opened(file, stdin) as stream:
                yield from _File(file, stream, before, max_line_bytes, batch_rows).batches()
        except ChronolakeError as error:
            if on_error is None:
                raise
            on_error(error)
        before += file.size or 0


def read_stream(stream: BinaryIO, name: str, *, max_line_bytes: int, batch_rows: int) -> Iterator[RawBatch]:
    """Read one stream that is no file of its own, as an archive's answer; otherwise as `read_captures`.

    Raises:
        InputError: it cannot be read at all.
    """
    file = InputFile(name, None)
    with _told_by_name(file):
        yield from _File(file, stream, 0, max_line_bytes, batch_rows).batches()


def count_records(path: str) -> Iterator[tuple[str, Tally]]:
    """The records of each WARC and ARC file of `path`, a WACZ's members among them, each under its name.

    Raises:
        FormatUnknown: a file is none of these.
        InputError: a file cannot be read at all.
    """
    for file in expand([path]):
        with _told_by_name(file), opened(file, None) as stream:
            yield from _File(file, stream, 0, 1 << 24, GATHERED_ROWS).tallies()


@contextmanager
def _told_by_name(file: InputFile) -> Iterator[None]:
    """What a library says of a file it cannot read, as an error that names the file."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        raise InputUnreadable(
            f"{name_of(file.path)} cannot be read: {error}", hint="Fetch the file again."
        ) from error


class _File:
    """One open file on its way through the readers."""

    def __init__(
        self, file: InputFile, stream: BinaryIO, before: int, max_line_bytes: int, batch_rows: int
    ) -> None:
        self._name = "(standard input)" if file.path == "-" else name_of(file.path)
        self._path = file.path
        self._stream = stream
        self._before = before
        self._max_line_bytes = max_line_bytes
        self._batch_rows = batch_rows
        self._source = Source(stream, file.path)
        #: what each WARC and ARC file held, by its name
        self._tallies: dict[str, Tally] = {}

    def batches(self) -> Iterator[RawBatch]:
        head = self._source.peek(HEAD_BYTES)
        if not head:
            if self._source.damage:
                hint = "Fetch the file again."
                raise InputUnreadable(f"{self._name} is damaged: {self._source.damage}", hint=hint)
            raise InputUnreadable(f"{self._name} is empty", hint="Check where it comes from.")
        found = detect(head)
        match found.format:
            case None:
                raise FormatUnknown(f"{self._name} holds no captures: {found.why}")
            case Format.WARC | Format.ARC:
                yield from self._archive(self._source, found.format, self._path)
            case Format.WACZ:
                yield from self._wacz()
            case Format.COLUMNAR:
                yield from self._columnar()
            case Format.MEMENTOS | Format.LINKS:
                yield from self._timemap(found)
            case Format.WAYBACK_JSON if b"\n" not in head[:-1]:
                yield from self._array_on_one_line(found)
            case Format.CDX | Format.WAYBACK_TEXT:
                yield from self._cdx(found)
            case Format.WAYBACK_JSON:
                yield from self._lines(found, partial(jsons.parse_array_row, columns=found.columns))
            case Format.COMMONCRAWL_JSONL:
                yield from self._lines(found, jsons.parse_object)
            case Format.CDXJ | Format.COMMONCRAWL_CDXJ:
                yield from self._lines(found, jsons.parse_cdxj)

    def tallies(self) -> Iterator[tuple[str, Tally]]:
        """The records of each WARC or ARC file in it, counted; captures are read as ever, and thrown away."""
        kind = detect(self._source.peek(HEAD_BYTES)).format
        if kind not in {Format.WARC, Format.ARC, Format.WACZ}:
            raise FormatUnknown(f"{self._name} is no WARC, ARC or WACZ file")
        for _ in self.batches():
            pass
        yield from self._tallies.items()

    def _batch(self, found: str, rows: Rows, *tables: pa.Table) -> RawBatch:
        table = pa.concat_tables([*tables, rows.table()]) if tables else rows.table()
        return RawBatch(self._name, found, table, rows.rejected, self._before + self._source.taken)

    def _cdx(self, found: Detected) -> Iterator[RawBatch]:
        columns = found.columns
        last = 0
        rows = Rows(self._name)
        for block in blocks(self._source, self._max_line_bytes):
            last = block.first + block.data.count(b"\n")
            # A batch costs some milliseconds, so that a refused line waits for those after it.
            if self._refused(block, rows):
                if not rows.full:
                    continue
                tables = []
            else:
                table, columns = cdx.take_apart(block.data, block.first, columns, rows)
                tables = [] if table is None else [table]
            yield self._batch(found.format or "", rows, *tables)
            rows = Rows(self._name)
        if len(rows):
            yield self._batch(found.format or "", rows)
        yield from self._end(found, last)

    def _lines(self, found: Detected, parse: Callable[[str], Parsed]) -> Iterator[RawBatch]:
        rows = Rows(self._name)
        last = 0
        for block in blocks(self._source, self._max_line_bytes):
            last = block.first + block.data.count(b"\n")
            if self._refused(block, rows):
                continue
            for number, line in enumerate(block.data.split(b"\n"), start=block.first):
                rows.add(number, line, parse(text_of(line).removeprefix("\ufeff")))
                if rows.full:
                    yield self._batch(found.format or "", rows)
                    rows = Rows(self._name)
        yield self._batch(found.format or "", rows)
        yield from self._end(found, last)

    def _refused(self, block: Block, rows: Rows) -> bool:
        """Whether the block is one line that cannot be a row; then it is kept as rejected."""
        if block.too_long:
            detail = f"longer than {self._max_line_bytes} bytes (CHRONOLAKE_MAX_LINE_BYTES)"
            rows.reject(block.first, block.data, Refused(Reason.TOO_LONG, detail))
        elif block.cut:
            rows.reject(block.first, block.data, Refused(Reason.TRUNCATED, self._source.damage or ""))
            self._source.damage = None
        return block.too_long or block.cut

    def _end(self, found: Detected, last: int) -> Iterator[RawBatch]:
        """Damage that cut no line in two still cost the lines after it."""
        if self._source.damage:
            rows = Rows(self._name)
            rows.reject(last + 1, b"", Refused(Reason.TRUNCATED, self._source.damage))
            yield self._batch(found.format or "", rows)

    def _array_on_one_line(self, found: Detected) -> Iterator[RawBatch]:
        document = self._document()
        for start in range(0, len(document), GATHERED_ROWS):
            rows = Rows(self._name)
            for number, row in enumerate(document[start : start + GATHERED_ROWS], start=start + 1):
                parsed = jsons.parse_row(row, found.columns)
                rows.add(number, json.dumps(row, ensure_ascii=True).encode(), parsed)
            yield self._batch(found.format or "", rows)

    def _timemap(self, found: Detected) -> Iterator[RawBatch]:
        if found.format is Format.LINKS:
            return self._lines(found, links.Links())
        return self._mementos()

    def _mementos(self) -> Iterator[RawBatch]:
        found = jsons.mementos(self._document())
        if found is None:
            raise FormatUnknown(f"{self._name} holds no captures: it is JSON, but no TimeMap")
        url, listed = found
        rows = Rows(self._name)
        for number, memento in enumerate(listed, start=1):
            rows.add(number, json.dumps(memento).encode(), jsons.parse_memento(memento, url))
        yield self._batch(Format.MEMENTOS, rows)

    def _document(self) -> list[object]:
        """The whole file as one JSON value."""
        data = bytearray()
        while piece := self._source.read(1 << 20):
            data += piece
            if len(data) > _WHOLE_BYTES:
                hint = "Write one row a line, as the archive's API does."
                raise InputUnreadable(f"{self._name} is one JSON value of more than 256 MiB", hint=hint)
        try:
            document: list[object] = json.loads(text_of(bytes(data)).removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            hint = "Fetch the file again: its end is missing, or it was changed."
            raise InputUnreadable(f"{self._name} is no whole JSON document: {error}", hint=hint) from None
        return document

    def _archive(self, source: Source, kind: Format, name: str) -> Iterator[RawBatch]:
        records = archive.warc_records if kind is Format.WARC else archive.arc_records
        rows = Rows(self._name if name == self._path else f"{self._name}:{name_of(name)}")
        position = 0
        tally = self._tallies[rows.file] = Tally()
        for record in records(source, name, tally):
            position = record.position
            rows.add(position, record.raw, record.parsed)
            if rows.full:
                yield self._batch(kind, rows)
                rows = Rows(rows.file)
        if source.damage:
            rows.reject(position + 1, b"", Refused(Reason.TRUNCATED, source.damage))
        yield self._batch(kind, rows)

    def _wacz(self) -> Iterator[RawBatch]:
        with self._seekable() as stream:
            try:
                bundle = zipfile.ZipFile(stream)
            except (zipfile.BadZipFile, NotImplementedError, UnicodeError, OSError) as error:
                raise InputUnreadable(
                    f"{self._name} is damaged: {error}", hint="Fetch the file again."
                ) from None
            with bundle:
                names = [name for name in bundle.namelist() if name.lower().endswith(_ARCHIVES)]
                if not names:
                    raise FormatUnknown(
                        f"{self._name} holds no captures: it is a ZIP file without WARC files"
                    )
                yield from self._members(bundle, names)

    def _members(self, bundle: zipfile.ZipFile, names: Sequence[str]) -> Iterator[RawBatch]:
        """The captures of each member; what is wrong with members is said when the others have been read."""
        wrong: list[str] = []
        for name in names:
            try:
                member = bundle.open(name)
            # An encrypted member is a RuntimeError, an unknown compression a NotImplementedError, which is one.
            except (zipfile.BadZipFile, RuntimeError, OSError) as error:
                wrong.append(f"{name_of(name)}: {error}")
                continue
            with member:
                source = Source(_Unzipped(member), name)
                kind = detect(source.peek(HEAD_BYTES)).format
                if kind in {Format.WARC, Format.ARC}:
                    yield from self._archive(source, Format(kind), name)
                elif source.damage:
                    wrong.append(f"{name_of(name)}: {source.damage}")
        if wrong:
            message = f"{len(wrong)} of {len(names)} members of {self._name} cannot be read: {wrong[0]}"
            raise InputUnreadable(message, hint="Fetch the file again, or unpack it with its password.")

    def _columnar(self) -> Iterator[RawBatch]:
        with self._seekable() as stream:
            try:
                index = columnar.open_index(stream)
                if index is None:
                    raise FormatUnknown(f"{self._name} holds no captures: its columns are not cc-index's")
                for table in columnar.tables(index, self._batch_rows):
                    yield RawBatch(self._name, Format.COLUMNAR, table, [], self._before + self._source.taken)
            except (pa.ArrowException, KeyError, OSError) as error:
                hint = "Fetch the file again, or write it with cc-index's columns."
                raise InputUnreadable(f"{self._name} cannot be read: {error}", hint=hint) from None

    def _seekable(self) -> BinaryIO:
        """The file from its start; standard input and compressed files through a temporary one."""
        if self._stream.seekable() and not self._source.compressed:
            self._stream.seek(0)
            return open(self._stream.fileno(), "rb", closefd=False)  # a descriptor has no path
        spooled = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
        while data := self._source.read(1 << 20):
            spooled.write(data)
        spooled.seek(0)
        return spooled


class _Unzipped:
    """A member of a ZIP file as a stream; what is wrong with it ends it as damage, not as an exception."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member

    def read(self, size: int) -> bytes:
        """Up to `size` bytes.

        Raises:
            OSError: the member is damaged.
        """
        try:
            return self._member.read(size)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            raise OSError(str(error)) from error
