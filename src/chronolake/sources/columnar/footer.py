"""The footer of a Parquet file: which row groups may hold what is asked, and where their columns lie in the file.

A footer stands at the end of its file, with its length and a magic word behind it. It is asked for by the file's
last bytes, and once more where it is longer. What it says is checked before any of it is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.attempt import Outcome
from chronolake.errors import SourceRefused
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker
from chronolake.sources.columnar.outline import Outline, Span
from chronolake.sources.columnar.wanted import KEY, TIME, Wanted
from chronolake.sources.local.columnar import COLUMNS, NEEDED
from chronolake.sources.ranged import Told, last, told

#: Bytes of a file's end that are asked for. A column of a row group takes some 170 bytes of a footer, so that it holds
#: 25 row groups of thirty columns; at two requests a second, another one costs more than what was too much.
TAIL_BYTES = 128 << 10
#: Bytes behind a footer: its length, and the magic word. Before the first column chunk stands the same word.
_LENGTH, _MAGIC = 4, b"PAR1"
#: A footer of more bytes is none, and a row group of more rows: the index has some millions.
_MOST_FOOTER, _MOST_ROWS = 64 << 20, 1 << 27


@dataclass(frozen=True)
class Chunk:
    """One column of one row group: the bytes of the file from `first` to before `beyond`."""

    column: str
    first: int
    beyond: int


@dataclass(frozen=True)
class Footer:
    """What a file of `file_size` bytes says of itself; the footer begins at `begins`."""

    url: str
    file_size: int
    begins: int
    metadata: pq.FileMetaData
    #: the columns that we know, and those that are filtered by, with their numbers
    columns: dict[str, int]

    @cached_property
    def outline(self) -> Outline:
        """What it says of its row groups; only of a file that has a key and a time."""
        groups = map(self.metadata.row_group, range(self.metadata.num_row_groups))
        return Outline(tuple(Span.of(group, self.columns[KEY], self.columns[TIME]) for group in groups))

    def rows(self, number: int) -> int:
        """The rows of a row group."""
        return int(self.metadata.row_group(number).num_rows)

    def chunk(self, number: int, column: str) -> Chunk:
        """Where a column of a row group lies."""
        found = self.metadata.row_group(number).column(self.columns[column])
        # A chunk begins with its dictionary, where it has one.
        offsets = [
            found.data_page_offset,
            found.dictionary_page_offset if found.has_dictionary_page else None,
        ]
        first = min(offset for offset in offsets if offset)
        return Chunk(column, first, first + found.total_compressed_size)


def footer(asker: Asker, url: str, wanted: Wanted, first: int = 0) -> Footer:
    """The footer of the file at `url`; its attempt counts no captures where no row group from `first` on matters.

    Raises:
        SourceRefused: the file lacks a column.
        SourceError: as `Asker.ask`, also where it is no Parquet file.
    """
    reader = _Reader(wanted, first)
    with asker.ask(url, reader, last(TAIL_BYTES)) as received:
        found = received.contents.document
    if isinstance(found, int):
        with asker.ask(url, reader, last(found)) as received:
            found = received.contents.document
    assert isinstance(found, Footer)  # noqa: S101  # the second request asked for all of it
    missing = sorted(needed(wanted) - set(found.columns))
    if missing:
        hint = "It is another table than cc-index's: check the address."
        raise SourceRefused(f"{url} has no column {missing[0]}", hint=hint)
    return found


def needed(wanted: Wanted) -> set[str]:
    """The columns that there have to be."""
    return {KEY, *NEEDED, *wanted.filtered}


class _Reader:
    """Looks over the end of a file: its footer, or how many bytes to ask for where it has begun before."""

    def __init__(self, wanted: Wanted, first: int) -> None:
        self._wanted = wanted
        self._first = first

    def __call__(self, answer: Answer) -> Contents | None:
        found = told(answer)
        if found is None:
            return None
        data = answer.whole()
        length = _length(data, found)
        if length > len(data):
            return Contents(rows=None, document=length)
        parsed = self._parsed(answer.url, data[-length:], found.first + len(data))
        if needed(self._wanted) - set(parsed.columns):
            return Contents(rows=None, document=parsed)
        any_matters = bool(parsed.outline.groups(self._wanted, self._first))
        return Contents(rows=None if any_matters else 0, document=parsed)

    def _parsed(self, url: str, data: bytes, file_size: int) -> Footer:
        try:
            metadata = pq.read_metadata(BytesIO(data))
            names = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise Unusable(Outcome.MALFORMED, f"its footer cannot be read: {error}") from None
        known = {*COLUMNS.values(), *needed(self._wanted)}
        if twice := next((name for name in known if names.count(name) > 1), None):
            raise Unusable(Outcome.MALFORMED, f"its column {twice} is there twice")
        columns = {name: number for number, name in enumerate(names) if name in known}
        parsed = Footer(url, file_size, file_size - len(data), metadata, columns)
        _check(parsed)
        return parsed


def _length(data: bytes, found: Told) -> int:
    """The bytes of the footer with what stands behind it."""
    if found.file_size is None or found.first + len(data) != found.file_size:
        raise Unusable(Outcome.MALFORMED, "it is not the end of the file, or does not say how large that is")
    if data[-len(_MAGIC) :] != _MAGIC:
        raise Unusable(Outcome.MALFORMED, "it is no Parquet file")
    behind = _LENGTH + len(_MAGIC)
    length = int.from_bytes(data[-behind : -len(_MAGIC)], "little") + behind
    if length > min(_MOST_FOOTER, found.file_size - len(_MAGIC)):
        raise Unusable(Outcome.MALFORMED, "its footer is longer than it can be")
    return length


def _check(parsed: Footer) -> None:
    """See that every column chunk that may be asked for lies in the file.

    Raises:
        Unusable: one does not.
    """
    for number in range(parsed.metadata.num_row_groups):
        rows = parsed.rows(number)
        if not 0 <= rows <= _MOST_ROWS:
            raise Unusable(Outcome.MALFORMED, f"a row group has {rows} rows")
        for chunk in _chunks(parsed, number) if rows else ():
            if not len(_MAGIC) <= chunk.first < chunk.beyond <= parsed.begins:
                raise Unusable(Outcome.MALFORMED, f"its column {chunk.column} lies outside of it")


def _chunks(parsed: Footer, number: int) -> Sequence[Chunk]:
    try:
        return [parsed.chunk(number, column) for column in parsed.columns]
    except (ValueError, IndexError) as error:
        raise Unusable(Outcome.MALFORMED, f"its footer does not say where its columns lie: {error}") from None
