"""Small tables whose rows an engine keeps decoded in its memory, for questions that take no longer than opening a file.

A rollup's answer is some hundred rows of a file of a few megabytes: to open and decode that takes longer than all the
rest. A table is taken in by its list of files, so what is read is exactly what those files hold; with another list it
is another table. It is taken in once it was asked for some times and stayed the same for a while, in the background:
nobody waits for it, and a table that changes all the time is left in its files.
"""

import itertools
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb

from chronolake.clock import Clock, SystemClock
from chronolake.lake.engine import identifier
from chronolake.telemetry import logs, metrics

#: Asked for so many times with the same files before it is taken in: one dashboard asks as often at once.
LEAST_ASKED = 3
#: And unchanged for so many seconds. Taking in a quarter of a million cells costs a tenth of one.
LEAST_AGE_S = 1.0
#: Seconds after which a table goes whose files nobody asks for any more.
STALE_S = 60.0
#: Stands between a table's name and the number of its taking in.
RESIDENT = "__resident_"
#: A value in the engine's memory takes so many bytes, and a text of more than 12 its own beside. Texts are reckoned by
#: their files, in which, compressed, they take an eighth or more.
VALUE_BYTES, TIMES_ON_DISK = 16, 8
#: One table may take this share of the room.
MOST_SHARE = 0.5

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Source:
    """A table as some files hold it: `files` names these, and `select` reads the `columns` of all its `rows`.

    `on_disk` are the bytes of these files.
    """

    table: str
    files: Hashable
    columns: tuple[str, ...]
    rows: int
    on_disk: int
    select: str

    @property
    def bytes(self) -> int:
        """About what its rows take in memory, rather more than less."""
        return max(self.rows * len(self.columns) * VALUE_BYTES, self.on_disk * TIMES_ON_DISK)


@dataclass(eq=False)
class _Resident:
    """A table in memory, called `name` there; `readers` read it now, and it was lent last as number `lent`."""

    source: Source
    name: str
    readers: int = 0
    lent: int = 0


@dataclass(eq=False)
class _Asked:
    """How often a table was asked for with these files, and since when."""

    files: Hashable
    since: float
    times: int = 0
    is_settled: bool = False


class Residents:
    """The resident tables of one engine, at most `most_bytes` together. Thread-safe."""

    def __init__(
        self, *, cursor: Callable[[], duckdb.DuckDBPyConnection], most_bytes: int, clock: Clock | None = None
    ) -> None:
        self._cursor = cursor
        self._most_bytes = most_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._asked: dict[str, _Asked] = {}
        self._held: dict[str, _Resident] = {}
        self._leaving: set[_Resident] = set()
        self._closed = False
        self._loader = ThreadPoolExecutor(1, "resident")

    def close(self) -> None:
        """Take in no more, lend no more; what is held goes with its engine."""
        with self._lock:
            self._closed = True
        self._loader.shutdown(wait=True, cancel_futures=True)

    def wait(self) -> None:
        """Return once all that was to be taken in by now is."""
        self._loader.submit(int).result()

    @property
    def held_bytes(self) -> int:
        """About what the tables take."""
        with self._lock:
            return sum(held.source.bytes for held in [*self._held.values(), *self._leaving])

    @contextmanager
    def lent(
        self, table: str, files: Hashable, columns: Sequence[str], source: Callable[[], Source | None]
    ) -> Iterator[str | None]:
        """What these columns of the table are called in memory, which stays until the end of the block.

        Null where it is not there with these files; then it may be the next time. `source` tells how to take it in,
        null where it cannot be.
        """
        resident = self._borrowed(table, files, columns, source)
        try:
            yield None if resident is None else f"memory.main.{identifier(resident.name)}"
        finally:
            if resident is not None:
                self._given_back(resident)

    def _borrowed(
        self, table: str, files: Hashable, columns: Sequence[str], source: Callable[[], Source | None]
    ) -> _Resident | None:
        with self._lock:
            if self._closed:
                return None
            found = self._held.get(table)
            if found is not None and found.source.files == files:
                if not set(columns) <= set(found.source.columns):
                    return None
                found.readers += 1
                found.lent = next(self._numbers)
                return found
            if self._is_due(table, files) and (wanted := source()) is not None and self._may_hold(wanted):
                self._loader.submit(self._take_in, wanted)
            elif found is not None and self._clock.monotonic() - self._asked[table].since > STALE_S:
                del self._held[table]
                self._loader.submit(self._drop, self._leave([found]))
            return None

    def _is_due(self, table: str, files: Hashable) -> bool:
        """Count that it was asked for; whether it is to be taken in now. True once for the same files."""
        now = self._clock.monotonic()
        asked = self._asked.get(table)
        if asked is None or asked.files != files:
            asked = self._asked[table] = _Asked(files, now)
        asked.times += 1
        if asked.is_settled or asked.times < LEAST_ASKED or now - asked.since < LEAST_AGE_S:
            return False
        asked.is_settled = True
        return True

    def _may_hold(self, source: Source) -> bool:
        return source.bytes <= self._most_bytes * MOST_SHARE

    def _given_back(self, resident: _Resident) -> None:
        with self._lock:
            resident.readers -= 1
            is_last = not resident.readers and resident in self._leaving
        if is_last:
            self._drop([resident])

    def _take_in(self, source: Source) -> None:
        if not self._is_asked_for(source):
            return
        name = f"{source.table}{RESIDENT}{next(self._numbers)}"
        resident = _Resident(source, name, lent=next(self._numbers))
        try:
            with self._cursor() as cursor:
                cursor.execute(f"CREATE TABLE memory.main.{identifier(resident.name)} AS {source.select}")
        except duckdb.Error as error:
            # Its files are read as before. They may be gone already, or the memory is used up: it may be tried again.
            _log.warning("lake.not_resident", table=source.table, error=str(error).partition("\n")[0])
            self._forget([source.table])
            return
        with self._lock:
            before = self._held.get(source.table)
            self._held[source.table] = resident
            evicted = self._too_many()
            goes = self._leave([before] if before else []) + self._leave(evicted)
        self._forget([each.source.table for each in evicted])
        self._drop(goes)

    def _is_asked_for(self, source: Source) -> bool:
        """Whether these are still the files that the table is asked for with."""
        with self._lock:
            asked = self._asked.get(source.table)
            return asked is not None and asked.files == source.files

    def _forget(self, tables: Sequence[str]) -> None:
        """Let these be taken in again, once they are asked for as often again."""
        with self._lock:
            for table in tables:
                self._asked.pop(table, None)

    def _too_many(self) -> list[_Resident]:
        """Those that were not lent for the longest, until the others have room."""
        room = self._most_bytes
        goes = []
        for held in sorted(self._held.values(), key=lambda held: held.lent, reverse=True):
            room -= held.source.bytes
            if room < 0:
                goes.append(held)
        for held in goes:
            del self._held[held.source.table]
        return goes

    def _leave(self, goes: Sequence[_Resident]) -> list[_Resident]:
        """Those of them that nobody reads; the others go once they are given back."""
        self._leaving |= set(goes)
        return [resident for resident in goes if not resident.readers]

    def _drop(self, goes: Sequence[_Resident]) -> None:
        for resident in goes:
            # In an engine that was closed meanwhile there is nothing left to drop.
            with suppress(duckdb.Error), self._cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS memory.main.{identifier(resident.name)}")
            with self._lock:
                self._leaving.discard(resident)
        metrics.LAKE_RESIDENT_BYTES.set(self.held_bytes)
