"""Batches on their way to the stores: cut and joined to one size, and read ahead of who takes them."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa

from chronolake.capture.columns import CDX_RECORDS
from chronolake.capture.record import CaptureBatch

#: Items that may wait between reader and taker.
QUEUE_ITEMS = 2
_OFFER_S = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Mark:
    """How far an archive is collected once a batch is stored: `place` counts where a page ends with it.

    `outside` captures of the page were not asked for.
    """

    page_ends: bool
    place: str | None = None
    outside: int = 0


@dataclass(frozen=True)
class Batch:
    """What one transaction stores; `bytes_read` of the input, as it lies on disk, were read up to its end."""

    captures: CaptureBatch
    bytes_read: int
    mark: Mark | None = None


def coalesced(batches: Iterator[Batch], rows: int) -> Iterator[Batch]:
    """Batches of up to `rows` rows: a thousand small files are not a thousand transactions, nor a big one one."""
    held: list[CaptureBatch] = []
    lines = 0
    bytes_read = 0
    for batch in batches:
        bytes_read = batch.bytes_read
        for piece in _pieces(batch.captures, rows):
            if held and lines + piece.read > rows:
                yield Batch(_joined(held), bytes_read)
                held, lines = [], 0
            held.append(piece)
            lines += piece.read
    if held:
        yield Batch(_joined(held), bytes_read)


def _pieces(batch: CaptureBatch, rows: int) -> Iterator[CaptureBatch]:
    """The batch in pieces of up to `rows` rows; what was rejected goes with the first."""
    yield replace(batch, table=batch.table.slice(0, rows))
    for start in range(rows, batch.table.num_rows, rows):
        yield CaptureBatch(file=batch.file, table=batch.table.slice(start, rows))


def _joined(batches: list[CaptureBatch]) -> CaptureBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.concat_tables([batch.table for batch in batches])
    return CaptureBatch(
        file=batches[0].file,
        # In order again: indexes are written in order, and two imports lock rows in the same one.
        table=table.sort_by([(name, "ascending") for name in CDX_RECORDS.sort]),
        rejected=[rejection for batch in batches for rejection in batch.rejected],
        repaired=sum(batch.repaired for batch in batches),
    )


class _End:
    """Marks the end of the reader's queue, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Run `items` in a thread, at most QUEUE_ITEMS ahead; its error is raised here."""
    handed: queue.Queue[T | _End] = queue.Queue(maxsize=QUEUE_ITEMS)
    stopped = threading.Event()

    def offer(item: T | _End) -> bool:
        # A consumer that gave up empties the queue no more, so waiting for room must end when it stops.
        while not stopped.is_set():
            try:
                handed.put(item, timeout=_OFFER_S)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            if all(offer(item) for item in items):
                offer(_End(None))
        except BaseException as error:  # noqa: BLE001  # carried to the thread that asked, which raises it
            offer(_End(error))

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    try:
        while not isinstance(item := handed.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        reader.join()
