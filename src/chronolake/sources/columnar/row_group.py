"""One row group of a file: its columns are fetched, the key first, and the rows that are wanted become Parquet again.

What is fetched lies in a file with holes, each byte at its own place, so that the library reads it as the file that
it is a part of, a batch of rows at a time: memory is bounded by a batch, disk by the columns of one row group. Where
the key, or a filter, leaves no row, the other columns are never asked for.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker
from chronolake.sources.columnar.footer import Chunk, Footer
from chronolake.sources.columnar.wanted import KEY, Wanted
from chronolake.sources.ranged import from_to, told_from

#: Bytes between two columns that are fetched along with them: they cost less than another request, which at two a
#: second waits as long as a megabyte takes.
GAP_BYTES = 1 << 20
#: Bytes of one request, at most: what fails is fetched again, and has to come within the deadline.
MOST_BYTES = 32 << 20
#: Rows that are looked at together.
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Fetch:
    """One request for the bytes from `first` to before `beyond`, which completes `columns`."""

    first: int
    beyond: int
    columns: tuple[str, ...]


def fetches(stages: Sequence[Sequence[Chunk]]) -> list[Fetch]:
    """The requests that bring the chunks, stage after stage; all at once where the whole is small. Pure."""
    every = [chunk for stage in stages for chunk in stage]
    if max(chunk.beyond for chunk in every) - min(chunk.first for chunk in every) <= GAP_BYTES:
        stages = [every]
    return [fetch for stage in stages for run in _runs(stage) for fetch in _pieces(run)]


def _runs(stage: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks in their order in the file, those together that lie close to each other."""
    runs: list[list[Chunk]] = []
    for chunk in sorted(stage, key=lambda chunk: chunk.first):
        run = runs[-1] if runs else []
        close = run and chunk.first - run[-1].beyond <= GAP_BYTES
        if close and chunk.beyond - run[0].first <= MOST_BYTES:
            run.append(chunk)
        else:
            runs.append([chunk])
    return runs


def _pieces(run: Sequence[Chunk]) -> list[Fetch]:
    """The requests of one run; of a chunk that is too large for one, several, the last of which completes it."""
    first, beyond = run[0].first, max(chunk.beyond for chunk in run)
    columns = tuple(chunk.column for chunk in run)
    starts = range(first, beyond, MOST_BYTES)
    return [
        Fetch(start, min(start + MOST_BYTES, beyond), columns if start == starts[-1] else ())
        for start in starts
    ]


class RowGroup:
    """A row group on its way: `fetch` it, then take its `body`."""

    def __init__(self, footer: Footer, number: int, wanted: Wanted, crawl: str) -> None:
        self._footer = footer
        self._number = number
        self._wanted = wanted
        self._crawl = crawl
        self._kept = np.ones(footer.rows(number), dtype=bool)
        self._held = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115  # `close` closes it

    def fetch(self, asker: Asker) -> int:
        """Fetch what is needed; how many rows are wanted.

        Raises:
            SourceError: as `Asker.ask`.
        """
        wanted = list(self._requests())
        for number, fetch in enumerate(wanted, start=1):
            look = _Look(self, fetch, last=number == len(wanted))
            asked = from_to(fetch.first, fetch.beyond - fetch.first)
            with asker.ask(self._footer.url, look, asked):
                pass
            if not self.rows:
                break
        return self.rows

    @property
    def rows(self) -> int:
        """How many rows are wanted, as far as is known."""
        return int(np.count_nonzero(self._kept))

    def body(self) -> BinaryIO:
        """The wanted rows as Parquet, with the columns that we know and the crawl; whoever takes it closes it."""
        body = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115  # handed out
        try:
            writer: pq.ParquetWriter | None = None
            for batch in self._wanted_rows():
                writer = writer or pq.ParquetWriter(body, batch.schema)
                writer.write_batch(batch)
            if writer is not None:
                writer.close()
            body.seek(0)
        except BaseException:
            body.close()
            raise
        return body

    def take(self, fetch: Fetch, answer: Answer) -> None:
        """Put fetched bytes where they belong, and leave rows out that are not wanted.

        Raises:
            Unusable: they are no columns.
        """
        answer.body.seek(0)
        self._held.seek(fetch.first)
        shutil.copyfileobj(answer.body, self._held)
        if not fetch.columns:
            return
        try:
            self._look_at(fetch.columns)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise Unusable(Outcome.MALFORMED, f"its columns cannot be read: {error}") from None

    def close(self) -> None:
        """Let go of what was fetched."""
        self._held.close()

    def same_file(self, size: int | None) -> bool:
        """Whether a file of `size` bytes, null: unknown, can be the one whose footer was read."""
        return size in {None, self._footer.file_size}

    def _requests(self) -> list[Fetch]:
        names = dict.fromkeys([KEY, *self._wanted.filtered, *self._footer.columns])
        chunks = [self._footer.chunk(self._number, name) for name in names]
        filters = len(set(self._wanted.filtered) - {KEY})
        return fetches(
            [stage for stage in (chunks[:1], chunks[1 : 1 + filters], chunks[1 + filters :]) if stage]
        )

    def _look_at(self, columns: Sequence[str]) -> None:
        # What turns out to be damaged must not have left anything out: it is fetched again.
        still = self._kept.copy()
        place = 0
        for batch in self._batches(columns):
            rows = still[place : place + batch.num_rows]
            if KEY in columns:
                rows &= self._wanted.matches_key(batch[KEY]).to_numpy(zero_copy_only=False)[: len(rows)]
            for kept in self._wanted.filters:
                if kept.column in columns and rows.any():
                    # A pattern is tried on what is left, and not on the millions that are not wanted.
                    left = np.flatnonzero(rows)
                    rows[left] = kept.matches(batch[kept.column].take(pa.array(left))).to_numpy(
                        zero_copy_only=False
                    )
            place += batch.num_rows
        if place != len(still):
            raise Unusable(Outcome.MALFORMED, f"{place} rows are there, and its footer says {len(still)}")
        self._kept = still

    def _wanted_rows(self) -> Iterator[pa.RecordBatch]:
        place, left = 0, self.rows
        batches = self._batches(list(self._footer.columns))
        # What is wanted of a sorted file lies together: nothing is read behind it. Where no row is left, the other
        # columns were never fetched.
        while left:
            batch = next(batches)
            rows = self._kept[place : place + batch.num_rows]
            place += batch.num_rows
            left -= int(np.count_nonzero(rows))
            if rows.any():
                found = batch.filter(pa.array(rows))
                crawl = pa.repeat(pa.scalar(self._crawl), found.num_rows)
                yield found if "crawl" in found.schema.names else found.append_column("crawl", crawl)

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        file = pq.ParquetFile(self._held, metadata=self._footer.metadata, buffer_size=GAP_BYTES)
        numbers = [self._number]
        yield from file.iter_batches(
            _BATCH_ROWS, row_groups=numbers, columns=list(columns), use_threads=False
        )


@contextmanager
def opened(footer: Footer, number: int, wanted: Wanted, crawl: str) -> Iterator[RowGroup]:
    """The row group within the block."""
    group = RowGroup(footer, number, wanted, crawl)
    try:
        yield group
    finally:
        group.close()


class _Look:
    """Looks over one range of a row group; the last one that is asked for counts its captures."""

    def __init__(self, group: RowGroup, fetch: Fetch, *, last: bool) -> None:
        self._group = group
        self._fetch = fetch
        self._last = last

    def __call__(self, answer: Answer) -> Contents | None:
        found = told_from(answer, self._fetch.first)
        if found is None:
            return None
        if not self._group.same_file(found.file_size):
            raise Unusable(Outcome.MALFORMED, "the file is another one than it was")
        if answer.size != self._fetch.beyond - self._fetch.first:
            raise Unusable(Outcome.TRUNCATED, "it is shorter than the range that was asked for")
        self._group.take(self._fetch, answer)
        return Contents(rows=self._group.rows if self._last or not self._group.rows else None)
