"""`chronolake sync verify`: are PostgreSQL and the lake the same, while both are written to?

How it looks:

1. A moment of PostgreSQL is taken: a snapshot, and an LSN before which all lies that it shows. Once the lake has all
   that was committed before that LSN, rows and fingerprints of both are summed by bucket of the key.
2. Of the buckets that differ, keys whose fingerprints differ are picked out, at another moment. Most of them, in a
   database that is written to, are changes on their way.
3. These suspects are looked at one by one, at moments of their own, until each is found equal, different or
   unsettled.

What is guaranteed:

- **No change on its way is told as a difference.** A suspect is a difference only where nothing changed it while we
  looked: PostgreSQL's row has the same version (who wrote it, where it lies) before the lake was read and after
  everybody ended who may have changed the table by then. Then every change of that key which the lake had was in what
  we read first, so the lake must show just that. Where PostgreSQL has no such row both times, it may have come and
  gone between; so the lake is read once more, when it has all of the second moment, and its row is one too many only
  where it is still the same row (DuckLake's row id): a delete would have taken it. Two rows of one key are wrong at
  any time.
- **No difference hides.** A row that is wrong and stays so is wrong in 1, in 2 and in every look of 3. Sums of 64-bit
  fingerprints could be equal by chance, once in 2^64. A row that is changed while we look is brought anew by the
  stream, which puts it right. One that changes in each of the looks is told as unsettled, never as equal.

Why no slot and no time travel: a slot is made only when every open transaction has ended, and the lake's commits are
where the worker makes them, not where we would have one. docs/decisions/0012-verify.md has the reasons and figures.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

import duckdb
import numpy as np
import pyarrow as pa

from chronolake.capture.columns import Table
from chronolake.clock import Clock, SystemClock
from chronolake.lake import Lake, Repaired
from chronolake.oltp import Database, moments
from chronolake.oltp.moments import Moment
from chronolake.oltp.statements import one
from chronolake.sync import fingerprint, scan
from chronolake.sync.fingerprint import Sums
from chronolake.sync.repair import keys_array
from chronolake.sync.worker import SyncWorker
from chronolake.telemetry import logs, metrics

#: Pages of a table that one connection reads at a time: 128 MB.
RANGE_PAGES = 16_384
#: Connections that read one table. More than two only queue where the server has two cores as well.
READERS = min(4, os.cpu_count() or 1)
#: Suspects that are looked at together.
SUSPECTS = 10_000
#: Looks at a suspect before it counts as unsettled, and how long to wait between two.
LOOKS = 8
PAUSE_S = 0.25
#: How long to wait for transactions that may have changed a table. Longer ones leave a suspect unsettled for this look.
WRITERS_S = 5.0
#: Keys that are told of each table and kind, as examples.
EXAMPLES = 10

_log = logs.get_logger(__name__)


class Kind(StrEnum):
    """What is wrong with the lake's row of a key."""

    MISSING = "missing"  #: PostgreSQL has a row, the lake none
    EXTRA = "extra"  #: the lake has a row, PostgreSQL none
    DOUBLED = "doubled"  #: the lake has several rows
    DIFFERENT = "different"  #: both have one, with other values


@dataclass(frozen=True)
class Difference:
    """One key that is wrong in the lake; `columns` are those whose values differ."""

    key: str
    kind: Kind
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """How one table was found. Of `rows` in PostgreSQL, `lake_rows` in the lake, at `lsn`.

    `remaining` is what still differs after the repair, where one was asked for, and `repaired` what no longer does.
    `unsettled` keys changed at every look.
    """

    table: str
    rows: int
    lake_rows: int
    lsn: str
    missing: int
    extra: int
    doubled: int
    different: int
    unsettled: int
    repaired: int
    remaining: int
    seconds: float
    columns: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]

    @property
    def equal(self) -> bool:
        """Whether both are known to be the same now."""
        return not self.remaining and not self.unsettled


@dataclass(frozen=True)
class Copy:
    """One row of the lake: its id there, and a hash of each column."""

    row_id: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """What was seen of one key: PostgreSQL before and after, the lake between and afterwards.

    `before` and `after` are versions of PostgreSQL's row, null without one; `settled` says that all had ended who may
    have changed it before `after` was read.
    """

    key: str
    cells: tuple[int, ...] | None
    before: str | None
    copies: tuple[Copy, ...]
    after: str | None
    settled: bool
    row_ids_afterwards: frozenset[int]


class Unsettled:
    """The key changed while we looked."""


def judge(look: Look, columns: Sequence[str]) -> Difference | Unsettled | None:
    """What a look says of its key; null where it is the same in both. The module's docstring says why."""
    if len(look.copies) > 1:
        return Difference(look.key, Kind.DOUBLED)
    copy = look.copies[0] if look.copies else None
    if look.cells == (copy.cells if copy else None):
        return None
    if not look.settled or look.before != look.after:
        return Unsettled()
    if copy is None:
        return Difference(look.key, Kind.MISSING)
    if look.cells is None:
        gone = copy.row_id not in look.row_ids_afterwards
        return Unsettled() if gone else Difference(look.key, Kind.EXTRA)
    pairs = zip(columns, look.cells, copy.cells, strict=True)
    return Difference(look.key, Kind.DIFFERENT, tuple(name for name, one, other in pairs if one != other))


@dataclass
class _Found:
    differences: list[Difference] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)


class Verification:
    """Compares tables, and has repaired what differs. For one thread at a time."""

    def __init__(
        self, *, database: Database, lake: Lake, worker: SyncWorker, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._lake = lake
        self._worker = worker
        self._clock = clock or SystemClock()

    def verify(self, table: Table, *, repair: bool) -> Verdict:
        """Compare one table, and with `repair` have what differs repaired and looked at again.

        Raises:
            LakeBusy: the lake did not come as far as PostgreSQL within CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            DatabaseError: PostgreSQL could not be read.
            LakeError: the lake could not be read.
        """
        started = self._clock.monotonic()
        with moments.moment(self._database) as now:
            truth, copy = self._sums(now, table)
        buckets = truth.differing(copy)
        found = _Found()
        for keys in self._suspects(table, buckets) if buckets else ():
            self._look_at(table, keys, found)
        wrong = found.differences
        left = self._repaired(table, wrong) if repair and wrong else _Found(wrong)
        unsettled = len({*found.unsettled, *left.unsettled})
        seconds = self._clock.monotonic() - started
        verdict = _verdict(
            table=table,
            truth=truth,
            copy=copy,
            lsn=now.lsn,
            wrong=wrong,
            left=left.differences,
            unsettled=unsettled,
            seconds=seconds,
        )
        metrics.SYNC_ROWS_DIFFERING.labels(table=table.name).set(verdict.remaining)
        metrics.SYNC_VERIFIED.labels(table=table.name).set(self._clock.now().timestamp())
        metrics.SYNC_VERIFY_SECONDS.labels(table=table.name).set(seconds)
        say = _log.info if verdict.equal else _log.warning
        say(
            "sync.verified",
            table=table.name,
            rows=verdict.rows,
            differing=len(wrong),
            repaired=verdict.repaired,
            unsettled=unsettled,
            lsn=now.lsn,
            seconds=round(seconds, 3),
        )
        return verdict

    def _sums(self, now: Moment, table: Table) -> tuple[Sums, Sums]:
        self._worker.reach(now.lsn)
        copy, truth = Sums(), Sums()
        with self._cursor() as cursor:
            copy.add(cursor.execute(fingerprint.sums_sql(table, table.name)).fetchall())
        adding = Lock()

        def add(cursor: duckdb.DuckDBPyConnection, *, fitting: bool) -> None:
            found = cursor.execute(fingerprint.sums_sql(table, "given", fitting=fitting)).fetchall()
            with adding:
                truth.add(found)

        self._scan(now, table, add)
        return truth, copy

    def _suspects(self, table: Table, buckets: list[int]) -> Iterator[list[str]]:
        """Keys in these buckets whose rows may not be the same, some thousands at a time."""
        pieces: list[pa.Table] = []

        def keep(cursor: duckdb.DuckDBPyConnection, *, fitting: bool) -> None:
            sql = fingerprint.hashes_sql(table, "given", fitting=fitting)
            pieces.append(cursor.execute(sql, [buckets]).to_arrow_table())

        with moments.moment(self._database) as now:
            self._worker.reach(now.lsn)
            self._scan(now, table, keep)
        with self._cursor() as cursor:
            empty = pa.table({"key": pa.array([], pa.string()), "hash": pa.array([], pa.uint64())})
            cursor.register("truth", pa.concat_tables(pieces) if pieces else empty)
            suspects = cursor.execute(fingerprint.suspects_sql(table), [buckets]).to_arrow_table()
            cursor.unregister("truth")
        for start in range(0, suspects.num_rows, SUSPECTS):
            yield suspects.column(0).slice(start, SUSPECTS).to_pylist()

    def _scan(self, now: Moment, table: Table, take: Callable[..., None]) -> None:
        """Read the whole table as `now` shows it, by several connections; `take` finds some of it in `given`."""
        pages = int(one(now.conn, "table_pages", {"table": table.postgres_table})[0])
        starts = range(0, max(pages, 1), RANGE_PAGES)
        # The last range has no end, for what was added since the pages were counted.
        ranges = [(start, start + RANGE_PAGES if start != starts[-1] else None) for start in starts]

        def read(some: tuple[int, int | None]) -> None:
            with now.joined() as conn, self._cursor() as cursor:
                for piece in scan.whole(conn, table, blocks=some):
                    for rows, fitting in _by_fit(piece):
                        cursor.register("given", rows)
                        take(cursor, fitting=fitting)
                        cursor.unregister("given")

        with ThreadPoolExecutor(READERS, "verify") as pool:
            for done in [pool.submit(read, some) for some in ranges]:
                done.result()

    def _look_at(self, table: Table, keys: list[str], found: _Found) -> None:
        """Settle what each of `keys` is, by looking again at those that change."""
        columns = [column.name for column in table.stored]
        for number in range(LOOKS):
            if number:
                self._clock.sleep(PAUSE_S)
            again: list[str] = []
            for look in self._looks(table, keys):
                verdict = judge(look, columns)
                if isinstance(verdict, Difference):
                    found.differences.append(verdict)
                elif verdict is not None:
                    again.append(look.key)
            keys = again
            if not keys:
                return
        found.unsettled += keys

    def _looks(self, table: Table, keys: list[str]) -> Iterator[Look]:
        with moments.moment(self._database) as first:
            read = scan.of_keys(first.conn, table, keys)
        self._worker.reach(first.lsn)
        copies = self._copies(table, keys)
        settled = moments.writers_ended(self._database, table.postgres_table, timeout_s=WRITERS_S)
        with moments.moment(self._database) as second:
            after = scan.versions_of(second.conn, table, keys)
        truth = self._cells(table, read)
        afterwards: dict[str, tuple[Copy, ...]] = {}
        if extra := [key for key in copies if key not in truth]:
            self._worker.reach(second.lsn)
            afterwards = self._copies(table, extra)
        for key in keys:
            cells, before = truth.get(key, (None, None))
            yield Look(
                key=key,
                cells=cells,
                before=before,
                copies=copies.get(key, ()),
                after=after.get(key),
                settled=settled,
                row_ids_afterwards=frozenset(copy.row_id for copy in afterwards.get(key, ())),
            )

    def _copies(self, table: Table, keys: list[str]) -> dict[str, tuple[Copy, ...]]:
        """The lake's rows of these keys."""
        found: dict[str, tuple[Copy, ...]] = {}
        with self._cursor() as cursor:
            cursor.register("wanted", pa.table({"key": keys_array(table, keys)}))
            sql = fingerprint.cells_sql(table, table.name, "rowid")
            sql += f' WHERE "{table.key}" IN (SELECT key FROM wanted)'
            for key, row_id, cells in cursor.execute(sql).fetchall():
                found[key] = (*found.get(key, ()), Copy(row_id, tuple(cells)))
            cursor.unregister("wanted")
        return found

    def _cells(self, table: Table, read: scan.Scanned) -> dict[str, tuple[tuple[int, ...], str]]:
        """By key, a hash of each column of PostgreSQL's row, and its version."""
        number = {column.name: place for place, column in enumerate(table.stored)}
        given = read.rows.append_column("version", pa.array(range(read.rows.num_rows), pa.int64()))
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        unfit = {(int(row), number[name]) for name, rows in read.unfit.items() for row in rows}
        with self._cursor() as cursor:
            cursor.register("given", given)
            # No hash is negative, so that a value which the lake cannot hold is like none of it.
            for key, row, cells in cursor.execute(
                fingerprint.cells_sql(table, "given", "version")
            ).fetchall():
                told = tuple(-1 if (row, place) in unfit else cell for place, cell in enumerate(cells))
                found[key] = told, read.versions[row]
            cursor.unregister("given")
        return found

    def repair(self, table: Table, keys: Sequence[str]) -> Repaired:
        """Have the lake's rows of these keys made as PostgreSQL's are; what changes meanwhile is asked for again.

        Raises:
            LakeBusy: nobody led within CHRONOLAKE_LAKE_LOCK_TIMEOUT_S.
            ChronolakeError: PostgreSQL or the lake failed.
        """
        done: list[str] = []
        unfit: dict[str, str] = {}
        moved: Sequence[str] = keys
        for _ in range(LOOKS):
            answer = self._worker.repair(table, moved)
            done += answer.keys
            unfit |= answer.unfit
            moved = answer.moved
            if not moved:
                break
        return Repaired(tuple(done), tuple(moved), unfit)

    def _repaired(self, table: Table, wrong: list[Difference]) -> _Found:
        """Have these repaired and look at them again; what is left."""
        left = _Found()
        keys = [difference.key for difference in wrong]
        for start in range(0, len(keys), SUSPECTS):
            some = keys[start : start + SUSPECTS]
            self.repair(table, some)
            self._look_at(table, some, left)
        return left

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lake.errors_translated(), self._lake.cursor() as cursor:
            yield cursor


def _by_fit(piece: scan.Scanned) -> Iterator[tuple[pa.Table, bool]]:
    """The rows that the lake can hold, and those that it cannot."""
    if not piece.unfit:
        yield piece.rows, True
        return
    mask = np.zeros(piece.rows.num_rows, bool)
    for rows in piece.unfit.values():
        mask[rows] = True
    yield piece.rows.filter(pa.array(~mask)), True
    yield piece.rows.filter(pa.array(mask)), False


def _verdict(
    *,
    table: Table,
    truth: Sums,
    copy: Sums,
    lsn: str,
    wrong: Sequence[Difference],
    left: Iterable[Difference],
    unsettled: int,
    seconds: float,
) -> Verdict:
    kinds = Counter(difference.kind for difference in wrong)
    examples: dict[str, list[str]] = {}
    for difference in wrong:
        told = examples.setdefault(difference.kind.value, [])
        if len(told) < EXAMPLES:
            told.append(difference.key)
    remaining = len({difference.key for difference in left})
    return Verdict(
        table=table.name,
        rows=truth.total(),
        lake_rows=copy.total(),
        lsn=lsn,
        missing=kinds[Kind.MISSING],
        extra=kinds[Kind.EXTRA],
        doubled=kinds[Kind.DOUBLED],
        different=kinds[Kind.DIFFERENT],
        unsettled=unsettled,
        repaired=max(0, len(wrong) - remaining),
        remaining=remaining,
        seconds=round(seconds, 3),
        columns=dict(Counter(name for difference in wrong for name in difference.columns)),
        examples=examples,
    )
