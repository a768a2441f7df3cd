"""Write generated captures of any number: CDX text, Parquet, a lake, or PostgreSQL and its lake.

The same seed and number of rows give the same captures, and in files the same bytes. Memory stays bounded:
captures are drawn a chunk at a time, while the chunk before is being written in another thread.
"""

import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from chronolake.bench import cdx_text
from chronolake.bench.captures import CORRUPTED_SHARE, PROJECTS, REJECTED, REPAIRED, Chunk, Damage, Run
from chronolake.bench.tables import batches_of, tables_of
from chronolake.bench.world import World
from chronolake.capture.columns import CDX_RECORDS
from chronolake.clock import Clock, SystemClock
from chronolake.errors import InputError
from chronolake.settings import ParquetSettings

#: What can be written.
FORMATS = ("cdx", "parquet", "lake", "stores")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class GeneratorReport:
    """What was written, and what reading it back must give.

    Of CDX lines, `damaged` are not as they should be: `rejected` of them no reader can store, `repaired`
    have a timestamp to be repaired, `not_utf8` a byte that is no UTF-8. Tables hold none to be rejected.
    `bytes` are of the files written; PostgreSQL's are not counted. `peak_memory_bytes` is of the process.
    """

    format: str
    rows: int
    seed: int
    bytes: int
    damaged: int
    rejected: int
    repaired: int
    not_utf8: int
    elapsed_s: float
    rows_per_s: float
    peak_memory_bytes: int


def write(
    format: str,  # noqa: A002  # the word of the command line
    rows: int,
    path: Path,
    *,
    seed: int = 1,
    corrupted_share: float = CORRUPTED_SHARE,
    parquet: ParquetSettings | None = None,
    clock: Clock | None = None,
) -> GeneratorReport:
    """Write `rows` captures of `seed` as `format` to `path`: a file, or a home folder for lake and stores.

    CDX text is compressed where the name ends in `.gz`. A home takes the captures beside what it holds, so
    writing to it twice gives them twice.

    Raises:
        InputError: there is no such format.
        DatabaseError: the home's PostgreSQL failed.
        LakeError: the home's lake failed.
    """
    clock = clock or SystemClock()
    started = clock.monotonic()
    run = Run(rows=rows, seed=seed, corrupted_share=corrupted_share)
    match format:
        case "cdx":
            size = _write_cdx(run, path)
        case "parquet":
            size = _write_parquet(run, path, parquet or ParquetSettings())
        case "lake" | "stores":
            from chronolake.bench import stores  # noqa: PLC0415  # opens drivers, which files do not need

            size = stores.fill_home(run, path, postgres=format == "stores")
        case _:
            raise InputError(
                f"{format} is no format of captures", hint=f"Choose one of {', '.join(FORMATS)}."
            )
    elapsed = max(clock.monotonic() - started, 1e-9)
    text = format == "cdx"
    return GeneratorReport(
        format=format,
        rows=rows,
        seed=seed,
        bytes=size,
        damaged=run.damaged(Damage if text else set(Damage) - REJECTED),
        rejected=run.damaged(REJECTED) if text else 0,
        repaired=run.damaged(REPAIRED),
        not_utf8=run.damaged([Damage.NOT_UTF8]),
        elapsed_s=elapsed,
        rows_per_s=rows / elapsed,
        peak_memory_bytes=peak_memory_bytes(),
    )


def peak_memory_bytes() -> int:
    """The most memory that this process ever held; the embedded server's is its own."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def _write_cdx(run: Run, path: Path) -> int:
    world = World.build(run.seed, run.rows)
    gzip = path.suffix == ".gz"

    def text(chunk: Chunk) -> bytes:
        lines = cdx_text.lines_of(chunk, world, run.seed)
        lines = cdx_text.HEADER + lines if chunk.first_row == 0 else lines
        # A member per chunk: gzip files may have many, and chunks can be packed side by side.
        return cdx_text.compressed(lines) if gzip else lines

    with path.open("wb") as sink:
        for block in ahead(text, run.chunks(world)):
            sink.write(block)
    return path.stat().st_size


def _write_parquet(run: Run, path: Path, parquet: ParquetSettings) -> int:
    tables = tables_of(run, range(1, PROJECTS + 1), range(1, batches_of(run) + 1))
    with path.open("wb") as sink:
        _write_tables(tables, sink, parquet)
    return path.stat().st_size


def _write_tables(tables: Iterator[pa.Table], sink: BinaryIO, parquet: ParquetSettings) -> None:
    with pq.ParquetWriter(
        sink,
        CDX_RECORDS.arrow_schema,
        compression=parquet.compression.lower(),
        data_page_size=parquet.page_size,
    ) as writer:
        # One writer thread, a chunk behind: a Parquet file is written in order.
        for _ in ahead(lambda table: writer.write_table(table, parquet.row_group_size), tables, threads=1):
            pass


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int = 2) -> Iterator[R]:
    """`work` on each item in other threads, in order, while the next item is being made; few wait."""
    rest = iter(items)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="generator") as pool:
        waiting = [pool.submit(work, item) for item in islice(rest, threads)]
        for item in rest:
            yield waiting.pop(0).result()
            waiting.append(pool.submit(work, item))
        for future in waiting:
            yield future.result()
