"""What the sync must bear, tried at scale: differences, kills, a huge transaction, and idleness beside a busy table."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import SyncError
from chronolake.lake import Lake
from chronolake.lsn import parse_lsn
from chronolake.oltp import Database, current_lsn, replication
from chronolake.settings import Settings
from chronolake.settings import environment as as_environment
from chronolake.sync import DataSyncService, TableStatus

#: How often a table that nobody subscribes to is written to meanwhile, and how much each time: 10 MB a second.
BUSY_S, BUSY_ROWS = 1.0, 10_000
#: How long something may take before it counts as not to come.
PATIENCE_S = 1800.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class Trials:
    """What came out. Bytes of WAL are the most that the slot held while nothing came for it."""

    verify_rows: int
    verify_s: float
    planted_found_and_repaired: str
    copy_killed_at_rows: int
    copy_went_on_from_rows: int
    copy_rest_rows_per_s: int
    takeover_s: float
    takeover_copied_anew: bool
    huge_rows: int
    huge_s: float
    huge_worker_peak_mb: float
    idle_s: float
    idle_slot_held_mb: float


def run(
    own: Settings,
    database: Database,
    *,
    lake: Lake,
    sync: DataSyncService,
    huge_rows: int,
    idle_s: float,
) -> Trials:
    """Try all of it on a lake that is equal to PostgreSQL, and leave it so.

    Raises:
        ChronolakeError: PostgreSQL or the lake failed.
        SyncError: something did not come to pass within PATIENCE_S.
    """
    [first] = sync.verify([CDX_RECORDS])
    _plant(lake)
    [planted] = sync.verify([CDX_RECORDS], repair=True)
    killed_at, went_on_from, rest_rate = _killed_copy(own, sync)
    takeover_s, copied_anew = _takeover(own, database, lake, sync)
    with command(own, "sync", "run") as process:
        huge_s = _huge(database, lake, huge_rows)
        peak = peak_mb(process.pid)
        held = _idle(database, idle_s)
    return Trials(
        verify_rows=first.rows,
        verify_s=first.seconds,
        planted_found_and_repaired=(
            f"{planted.different} changed, {planted.missing} missing, {planted.extra} extra; "
            f"{planted.repaired} repaired, {planted.remaining} left"
        ),
        copy_killed_at_rows=killed_at,
        copy_went_on_from_rows=went_on_from,
        copy_rest_rows_per_s=rest_rate,
        takeover_s=round(takeover_s, 2),
        takeover_copied_anew=copied_anew,
        huge_rows=huge_rows,
        huge_s=round(huge_s, 1),
        huge_worker_peak_mb=peak,
        idle_s=idle_s,
        idle_slot_held_mb=round(held / 1e6, 1),
    )


@contextmanager
def command(own: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`chronolake` with these arguments in a process of its own, which ends with the block."""
    with subprocess.Popen(  # noqa: S603  # our own command with words of ours
        [sys.executable, "-m", "chronolake", *arguments],
        env=os.environ | as_environment(own),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def peak_mb(pid: int) -> float:
    """The most memory that a process had so far, in mebibytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def _plant(lake: Lake) -> None:
    """One row of the lake changed, one taken away, one added that PostgreSQL has not."""
    with lake.cursor() as cursor:
        keys = cursor.execute(f"SELECT id::VARCHAR FROM {CDX_RECORDS.name} USING SAMPLE 3").fetchall()
        changed, missing, like = (row[0] for row in keys)
        cursor.execute(f"UPDATE {CDX_RECORDS.name} SET url = url || '!' WHERE id = '{changed}'::UUID")
        cursor.execute(f"DELETE FROM {CDX_RECORDS.name} WHERE id = '{missing}'::UUID")
        cursor.execute(
            f"INSERT INTO {CDX_RECORDS.name} SELECT * REPLACE ('{uuid.uuid4()}'::UUID AS id)"
            f" FROM {CDX_RECORDS.name} WHERE id = '{like}'::UUID"
        )


def _killed_copy(own: Settings, sync: DataSyncService) -> tuple[int, int, int]:
    """Kill a copy at half of its rows and start it again.

    How many rows it had, from how many it went on, and how many a second it copied then.
    """
    arguments = ("sync", "backfill", "--table", CDX_RECORDS.name)
    with command(own, *arguments) as process:

        def half() -> bool:
            status = _copied(sync)
            return status.state == "copying" and 2 * status.rows_done >= (status.rows_estimate or 0) > 0

        _until(half, "half of the copy")
        process.kill()
    killed_at = _copied(sync).rows_done
    started = time.monotonic()
    with command(own, *arguments) as process:
        went_on_from = killed_at
        while process.poll() is None:
            status = _copied(sync)
            if status.state == "copying":
                went_on_from = min(went_on_from, status.rows_done)
            time.sleep(_LOOK_S)
    rest = _copied(sync).rows_done - went_on_from
    rate = round(rest / (time.monotonic() - started))
    sync.reach()
    return killed_at, went_on_from, rate


def _copied(sync: DataSyncService) -> TableStatus:
    return next(table for table in sync.status().tables if table.table_name == CDX_RECORDS.name)


def _takeover(own: Settings, database: Database, lake: Lake, sync: DataSyncService) -> tuple[float, bool]:
    """Seconds from the kill of a worker until another brought a commit, and whether it copied the table anew."""
    before = sync.status().term or 0
    with command(own, "sync", "run") as leader:
        _until(lambda: (sync.status().term or 0) > before, "a worker that leads")
        _wait_for(lake, _commit(database))
        alone = _at_the_catalog(database)
        with command(own, "sync", "run"):
            _until(lambda: _at_the_catalog(database) > alone, "a worker that stands by")
            copied = _copied(sync).synced_from_lsn
            leader.kill()
            killed = time.monotonic()
            _wait_for(lake, _commit(database))
            seconds = time.monotonic() - killed
            return seconds, _copied(sync).synced_from_lsn != copied


def _at_the_catalog(database: Database) -> int:
    """How many connections the lake's catalog has: a worker that has come up has one, whether it leads or not."""
    with database.connection() as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'chronolake lake'"
        ).fetchone()
    return int(row[0]) if row else 0


def _commit(database: Database) -> str:
    with database.connection() as conn:
        conn.execute("UPDATE projects SET name = name WHERE id = (SELECT min(id) FROM projects)")
    with database.connection() as conn:
        return current_lsn(conn)


def _wait_for(lake: Lake, lsn: str) -> None:
    def there() -> bool:
        checkpoint = lake.stream_checkpoint()
        return checkpoint is not None and checkpoint.lsn >= parse_lsn(lsn)

    _until(there, f"the lake at {lsn}")


def _huge(database: Database, lake: Lake, rows: int) -> float:
    """Seconds from the commit of a huge transaction until the lake has it."""
    columns = ", ".join(column.name for column in CDX_RECORDS.stored if column.name != CDX_RECORDS.key)
    with database.connection() as conn:
        conn.execute(
            f"INSERT INTO {CDX_RECORDS.postgres_table} ({CDX_RECORDS.key}, {columns})"
            f" SELECT gen_random_uuid(), {columns} FROM {CDX_RECORDS.postgres_table} LIMIT {rows}".encode()
        )
    started = time.monotonic()
    with database.connection() as conn:
        lsn = current_lsn(conn)
    _wait_for(lake, lsn)
    return time.monotonic() - started


def _idle(database: Database, seconds: float) -> int:
    """The most WAL that the slot held while a table that nobody subscribes to was written to."""
    most = 0
    with database.connection() as conn:
        slot = replication.slot_name(conn)
        conn.execute("CREATE TABLE busy_elsewhere (line text)")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.connection() as conn:
            conn.execute(
                "INSERT INTO busy_elsewhere SELECT repeat(md5(n::text), 30) FROM generate_series(1, %s) n",
                [BUSY_ROWS],
            )
        time.sleep(BUSY_S)
        with database.connection() as conn:
            facts = replication.slot_facts(conn, slot)
            most = max(most, facts.held_bytes or 0 if facts is not None else 0)
            conn.execute("TRUNCATE busy_elsewhere")
    with database.connection() as conn:
        conn.execute("DROP TABLE busy_elsewhere")
    return most


def _until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SyncError(f"{what} did not come within {PATIENCE_S:g} s")
        time.sleep(_LOOK_S)
