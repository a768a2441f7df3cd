"""What a footer says of its file in short: the least and greatest key and time of each row group. Kept between runs.

Whoever collects many domains of one crawl would read the same nine hundred footers for each. A file of Common Crawl's
bears a UUID in its name, so what was once read of it stays true; of one that bears none, nothing is kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import pyarrow.parquet as pq

from chronolake.sources.columnar.wanted import Wanted
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)

_UUID = re.compile(r"-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Microseconds of a unit of time, as Parquet names it, and how many of it make one.
_UNITS = {"milliseconds": (1000, 1), "microseconds": (1, 1), "nanoseconds": (1, 1000)}


@dataclass(frozen=True)
class Span:
    """One row group: its rows, its keys and its times in microseconds since 1970, null where nothing is said."""

    rows: int
    least_key: str | None
    greatest_key: str | None
    least_time: int | None
    greatest_time: int | None

    @classmethod
    def of(cls, group: pq.RowGroupMetaData, key: int, time: int) -> Self:
        """What a row group says of its columns number `key` and `time`."""
        return cls(group.num_rows, *_keys(group.column(key)), *_times(group.column(time)))

    def may_hold(self, wanted: Wanted) -> bool:
        """Whether a row may be wanted; where nothing is said of a column, anything may be in it."""
        if self.rows == 0:
            return False
        if self.least_key is not None and self.greatest_key is not None:
            least, greatest = (_bytes(key) for key in (self.least_key, self.greatest_key))
            if not wanted.may_hold_keys(least, greatest):
                return False
        if self.least_time is None or self.greatest_time is None:
            return True
        return wanted.may_hold_times(self.least_time, self.greatest_time)


@dataclass(frozen=True)
class Outline:
    """The row groups of one file, in their order."""

    spans: tuple[Span, ...]

    def groups(self, wanted: Wanted, first: int = 0) -> list[int]:
        """The row groups from `first` on that may hold what is wanted."""
        return [number for number, span in enumerate(self.spans) if number >= first and span.may_hold(wanted)]


class Outlines:
    """Outlines that are kept in a folder, a file of JSON lines for each crawl. Losing it costs requests only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, crawl: str) -> Mapping[str, Outline]:
        """The outlines of a crawl's files, by path."""
        file = self._file(crawl)
        try:
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            _log.warning("outlines.unreadable", file=str(file), error=error.strerror)
            lines = []
        return dict(found for line in lines if (found := _read(line)) is not None)

    def keep(self, crawl: str, path: str, outline: Outline) -> None:
        """Keep the outline of one file, if it can never be another."""
        if not _UUID.search(path):
            return
        # What a kill cut short ends before this line does, which begins and ends with an end of line.
        line = "\n" + json.dumps([path, [astuple(span) for span in outline.spans]]) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # One write behind the end of the file: lines of several processes do not get mixed up.
            with self._file(crawl).open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            _log.warning("outlines.not_kept", file=str(self._file(crawl)), error=error.strerror)

    def _file(self, crawl: str) -> Path:
        return self._folder / f"{crawl}.jsonl"


def _read(line: bytes) -> tuple[str, Outline] | None:
    """One line; null where a kill cut it short."""
    try:
        path, spans = json.loads(line)
        return path, Outline(tuple(Span(*span) for span in spans))
    except (ValueError, TypeError):
        return None


def _keys(column: pq.ColumnChunkMetaData) -> tuple[str | None, str | None]:
    found = column.statistics
    if found is None or not found.has_min_max or not isinstance(found.min_raw, bytes):
        return None, None
    least, greatest = (key.decode("utf-8", "surrogateescape") for key in (found.min_raw, found.max_raw))
    return least, greatest


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _times(column: pq.ColumnChunkMetaData) -> tuple[int | None, int | None]:
    found = column.statistics
    if found is None or not found.has_min_max or found.logical_type.type != "TIMESTAMP":
        return None, None
    times, by = _UNITS[json.loads(found.logical_type.to_json())["timeUnit"]]
    return found.min_raw * times // by, found.max_raw * times // by
