"""Chaos: a random workload on a real home while worker, server, connections and lake writes break; then both compared.

`python -m chronolake.testing.chaos --seed 7` runs one seed, `--seeds 2000 --report FILE` many. A seed settles what is
done and what is broken and in which order; at what moment a process dies is the machine's to choose.

A seed fails where, once all is quiet, the stores differ in one row (lost, doubled or stale), a batch is owed still, or
anything raised what is no error of ours. A worker's step that failed and was made up for by the next is no failure:
that is what the sync promises.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random

import psycopg
from psycopg import sql

from chronolake import faults
from chronolake.errors import ChronolakeError
from chronolake.ingest import IngestRequest, ParquetPipeline
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.query import Scope
from chronolake.services import Services, open_services
from chronolake.settings import load
from chronolake.telemetry import logs
from chronolake.testing import workload
from chronolake.testing.equality import differences

#: Seeds that share one database: making it costs as much as two seeds, and a long history is a part of the test.
SEEDS_PER_DATABASE = 20
#: Within this many seconds after the last breakage all must be equal.
QUIET_S = 60.0
#: Where a worker may break, an ingest and a compaction: killed, or its write failed.
WORKER_POINTS = ("lake.files_written", "lake.before_commit", "lake.after_commit", "lake.after_ledger")
INGEST_POINTS = tuple(point for point in faults.POINTS if point.startswith(("ingest.", "lake.")))
COMPACTION_POINTS = ("lake.files_written", "compaction.before_swap", "compaction.after_swap")
#: Seeds that run side by side: each waits for its server, its worker and its disk most of the time.
JOBS = 2 * (os.cpu_count() or 1)
#: So long after a question it is in the search history, at most; and so often that is waited for.
ASKED_S = 1.2
ASKED_TRIES = 3
_RETRY_S = 0.1


@dataclass
class Tally:
    """What was done, what broke and what came of it."""

    seeds: int = 0
    #: by seed, what was wrong
    failed: dict[int, list[str]] = field(default_factory=dict)
    queries: int = 0
    #: what queries that got no answer said
    query_errors: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        """Count what happened in `other` too; times of what went on side by side are not added."""
        self.seeds += other.seeds
        self.failed |= other.failed
        self.queries += other.queries
        for mine, theirs in (
            (self.query_errors, other.query_errors),
            (self.done, other.done),
            (self.broken, other.broken),
        ):
            mine.update(theirs)


def _work(environment: dict[str, str], arguments: Sequence[str]) -> None:
    """`chronolake` with these arguments, in a process that has its imports already."""
    os.environ.clear()
    os.environ.update(environment)
    with Path(environment["CHRONOLAKE_HOME"], f"{arguments[0]}.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.argv = ["chronolake", *arguments]
    runpy.run_module("chronolake", run_name="__main__")


class Command:
    """A `chronolake` command's process, started and killed as often as one likes."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self._environment = environment
        self._arguments = arguments
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["chronolake.cli", "chronolake.services"])
        self._process: ForkServerProcess | None = None

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.is_alive()

    def start(self, fault: str | None = None) -> None:
        """Start it, with a fault armed or without; one that lives is killed."""
        self.kill()
        armed = self._environment | ({"CHRONOLAKE_FAULT": fault} if fault else {})
        self._process = self._context.Process(target=_work, args=(armed, self._arguments), daemon=True)
        self._process.start()

    def wait(self) -> int | None:
        """Return its exit code once it has ended; negative where a signal ended it, null where it never ran."""
        if self._process is None:
            return None
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it as `kill -9` does. Calling it twice is safe."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


class Arena:
    """One home with its server, and one database of it at a time."""

    def __init__(self, home: Path, tally: Tally) -> None:
        self._home = home
        self._tally = tally
        self._servers = [EmbeddedServer(home / "server")]
        self._servers[0].start()
        self._fast()
        self._made = 0

    def close(self) -> None:
        """Stop the server."""
        for server in self._servers:
            server.stop()

    @contextmanager
    def database(self) -> Iterator["World"]:
        """A fresh database with open services, where nothing runs yet."""
        self._made += 1
        name = f"chaos_{self._made}"
        with psycopg.connect(self._servers[0].url, autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            # Most transactions of some hundred rows are streamed before they commit.
            conn.execute(
                sql.SQL("ALTER DATABASE {} SET logical_decoding_work_mem = '64kB'").format(
                    sql.Identifier(name)
                )
            )
        url = self._servers[0].url.replace("@/postgres?", f"@/{name}?")
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": url,
            "CHRONOLAKE_HOME": str(self._home),
            "CHRONOLAKE_INGEST_BATCH_ROWS": "40",
        }
        with ExitStack() as stack:
            services = stack.enter_context(open_services(load(environment)))
            world = World(self, services, environment, self._tally)
            stack.callback(world.close)
            yield world
        with psycopg.connect(self._servers[0].url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill_server(self) -> None:
        """Kill the postmaster as `kill -9` does, and start it again as the next command would."""
        pid = int((self._home / "server" / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        # A next command that came within the same moment would take it for alive.
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(_RETRY_S / 10)
        joined = EmbeddedServer(self._home / "server")
        deadline = time.monotonic() + QUIET_S
        while True:
            try:
                joined.start()
                break
            except ChronolakeError:
                # Its children leave its memory only once they have seen that it is gone.
                self._tally.broken["server start tried again"] += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
        self._servers.append(joined)

    def _fast(self) -> None:
        # Processes are killed here, machines are not.
        with psycopg.connect(self._servers[0].url, autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET fsync = off")
            conn.execute("SELECT pg_reload_conf()")


class World:
    """One database under chaos."""

    def __init__(self, arena: Arena, services: Services, environment: dict[str, str], tally: Tally) -> None:
        self._arena = arena
        self._services = services
        self._environment = environment
        self._without_dual_write = load(environment | {"ENABLE_DUAL_WRITE": "false"})
        self._worker = Command(environment, "sync", "run")
        self._compaction = Command(environment, "lake", "compact", "--once")
        self._tally = tally
        self._loop = asyncio.new_event_loop()
        self._files = 0

    def close(self) -> None:
        """End what runs."""
        self._worker.kill()
        self._compaction.kill()
        self._loop.close()

    def run(self, seed: int) -> list[str]:
        """What is wrong after the seed; nothing, if all is well."""
        # A seed is to say what is done; no secret hangs on it.
        random = Random(seed)  # noqa: S311
        try:
            self._execute([workload.EVERYTHING])
            for _ in range(random.randrange(5, 12)):
                self._do(random)
                if random.random() < 0.4:
                    self._break(random)
                self._ask()
                if random.random() < 0.2:
                    time.sleep(random.random() * 0.3)
            return self._compared()
        except Exception as error:  # noqa: BLE001  # whatever it is, the seed has found it
            return [f"{type(error).__name__}: {error}"]

    # What is done.

    def _do(self, random: Random) -> None:
        if random.random() < 0.25:
            self._ingest(random)
        else:
            self._tally.done["transactions"] += 1
            self._execute(workload.transaction(random))

    def _execute(self, statements: Sequence[str]) -> None:
        """One transaction; where its connection is cut, it counts as not happened, whether it did or not."""
        url = self._services.database.url
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(url, options="-c search_path=chronolake,public") as conn,
        ):
            for statement in statements:
                conn.execute(statement.encode())

    def _ingest(self, random: Random) -> None:
        path = self._services.settings.home.root / f"file-{self._files % 8}.cdx"
        self._files += 1
        path.write_text(workload.cdx_text(random))
        if random.random() < 0.2:
            self._broken_ingest(random, path)
            return
        dual = random.random() < 0.7
        # With a follower the ingest leads where nobody does, in this process; without one all is left to the worker.
        pipeline = ParquetPipeline(
            database=self._services.database,
            follower=self._services.sync if random.random() < 0.4 else None,
            settings=self._services.settings if dual else self._without_dual_write,
        )
        request = IngestRequest(paths=(str(path),), project=random.choice(("news", "other")))
        try:
            pipeline.ingest(request)
            self._tally.done["ingests"] += 1
        except ChronolakeError:
            self._tally.broken["ingest ended by what broke"] += 1

    def _broken_ingest(self, random: Random, path: Path) -> None:
        """An ingest in a process of its own that is killed, or whose write fails, somewhere on its way."""
        fault = f"{random.choice(INGEST_POINTS)}@{random.randrange(1, 3)}{random.choice(('', ':error'))}"
        command = Command(self._environment, "ingest", str(path), "--project", "news")
        command.start(fault)
        self._tally.broken["ingest broken" if command.wait() else "ingest that came past its fault"] += 1

    # What breaks.

    def _break(self, random: Random) -> None:
        breaks: dict[Callable[[Random], str], float] = {
            self._start_worker: 5,
            self._start_compaction: 2,
            self._kill_worker: 2,
            self._cut_connections: 3,
            self._lose_staged: 0.5,
            self._kill_server: 0.3,
            self._drop_slot: 0.2,
        }
        (chosen,) = random.choices(list(breaks), weights=list(breaks.values()))
        self._tally.broken[chosen(random)] += 1

    def _start_worker(self, random: Random) -> str:
        fault = None
        if random.random() < 0.7:
            kind = random.choice(("", ":error"))
            fault = f"{random.choice(WORKER_POINTS)}@{random.randrange(1, 4)}{kind}"
        self._worker.start(fault)
        return "worker killed and started" + (", a fault armed" if fault else "")

    def _start_compaction(self, random: Random) -> str:
        fault = None
        if random.random() < 0.5:
            fault = f"{random.choice(COMPACTION_POINTS)}{random.choice(('', ':error'))}"
        self._compaction.start(fault)
        return "compaction started" + (", a fault armed" if fault else "")

    def _kill_worker(self, _random: Random) -> str:
        self._worker.kill()
        return "worker killed"

    def _cut_connections(self, random: Random) -> str:
        which = random.choice(("chronolake%", "chronolake leader", "chronolake sync", "chronolake lake", "%"))
        with suppress(psycopg.OperationalError), psycopg.connect(self._services.database.url) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND application_name LIKE %s",
                [which],
            )
        return f"connections cut: {which}"

    def _lose_staged(self, _random: Random) -> str:
        for path in self._services.settings.staging(self._services.database.instance).glob("*.arrow"):
            path.unlink(missing_ok=True)
        return "staged files lost"

    def _kill_server(self, _random: Random) -> str:
        self._arena.kill_server()
        return "server killed and started"

    def _drop_slot(self, _random: Random) -> str:
        with suppress(psycopg.Error), psycopg.connect(self._services.database.url) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(active_pid, 5000), pg_drop_replication_slot(slot_name)"
                " FROM pg_replication_slots WHERE database = current_database()"
            )
        return "slot dropped"

    # What must hold.

    def _ask(self) -> None:
        self._tally.queries += 1
        try:
            self._loop.run_until_complete(
                self._services.router.ask("project_summary", {}, scope=Scope.everything())
            )
        except ChronolakeError as error:
            self._tally.query_errors[f"{type(error).__name__}: {error.message[:120]}"] += 1

    def _compared(self) -> list[str]:
        sync, lake, database = self._services.sync, self._services.lake, self._services.database
        if sync is None or lake is None:
            return ["the lake could not be opened"]

        def both() -> list[str]:
            sync.reach()
            return differences(database, lake)

        found = self._patiently(both)
        for _ in range(ASKED_TRIES):
            if not found:
                break
            # What was asked is written down a moment later. What is lost, doubled or stale stays so.
            time.sleep(ASKED_S)
            found = self._patiently(both)
        with database.connection() as conn:
            row = conn.execute("SELECT count(*) FROM ledger WHERE applied_snapshot IS NULL").fetchone()
        owed = row[0] if row else 0
        return [*found, *([f"{owed} batches are owed still"] if owed else [])]

    def _patiently(self, call: Callable[[], list[str]]) -> list[str]:
        """What breaks on purpose may be felt for a while; what is felt longer is a fault."""
        deadline = time.monotonic() + QUIET_S
        while True:
            try:
                return call()
            except ChronolakeError:
                self._tally.broken["reach tried again"] += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)


def run(seeds: Sequence[int], *, jobs: int = 1, told: Callable[[str], object] = lambda _: None) -> Tally:
    """Run the seeds, so many of one database's side by side; `told` hears of each that failed.

    Neighbours within SEEDS_PER_DATABASE share a database, so a seed may need those before it to fail again.
    """
    tally = Tally()
    started = time.monotonic()
    chunks = [seeds[first : first + SEEDS_PER_DATABASE] for first in range(0, len(seeds), SEEDS_PER_DATABASE)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_of_one_database, chunk) for chunk in chunks]):
            tally.add(done.result())
            for seed, wrong in done.result().failed.items():
                told(f"seed {seed} failed; replay: python -m chronolake.testing.chaos --seed {seed}\n")
                told("".join(f"  {line}\n" for line in wrong))
    tally.seconds = time.monotonic() - started
    return tally


def _of_one_database(seeds: Sequence[int]) -> Tally:
    """Run the seeds one after the other, in a home of their own."""
    logs.configure(load({}).log)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="chronolake-chaos-", ignore_cleanup_errors=True) as folder:
        # As root the server runs as another user, who must come to his folder.
        Path(folder).chmod(0o755)
        arena = Arena(Path(folder), tally)
        try:
            with arena.database() as world:
                for seed in seeds:
                    tally.seeds += 1
                    if wrong := world.run(seed):
                        tally.failed[seed] = wrong
        finally:
            arena.close()
    return tally


def report(tally: Tally, command: str) -> str:
    """The page that says what was run and what came of it."""
    failures = len(tally.failed)
    errors = tally.query_errors.total()
    lines = [
        "# Chaos",
        "",
        (
            "A random workload while worker, server, connections, staged files and lake writes break; then PostgreSQL"
            " and the lake are compared row by row. How: `src/chronolake/testing/chaos.py`."
        ),
        "",
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit `{_commit()}`",
        (
            f"- machine: {os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()},"
            f" Python {platform.python_version()}"
        ),
        f"- command: `{command}`",
        f"- {tally.seeds} seeds in {tally.seconds:.0f} s, {tally.seconds / max(1, tally.seeds):.2f} s each",
        "",
        "| | count | share | the plan allows |",
        "|---|---|---|---|",
        (
            f"| sync failures: seeds that did not end equal | {failures} of {tally.seeds} |"
            f" {failures / max(1, tally.seeds):.3%} | < 0.1 % |"
        ),
        (
            f"| query failures: `project_summary`, engine auto, asked amid it | {errors} of {tally.queries} |"
            f" {errors / max(1, tally.queries):.3%} | < 1 % |"
        ),
        "",
        (
            "A seed fails where one row is lost, doubled or stale once all is quiet, a staged batch is owed still, or"
            " anything raised what is no error of ours. A step of the worker that failed and was made up for by the"
            " next is not counted."
        ),
        "",
        "| done | times |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(tally.done.items())),
        "",
        "| broken | times |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(tally.broken.items())),
        "",
    ]
    if tally.failed:
        lines += ["Seeds that failed: " + ", ".join(map(str, tally.failed)), ""]
    if tally.query_errors:
        lines += ["Queries that got no answer:", ""]
        lines += [f"- {count} x {text}" for text, count in tally.query_errors.most_common()]
        lines += [""]
    return "\n".join(lines)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  # whichever git the user has
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> int:
    """The command; 0 where no seed failed."""
    parser = argparse.ArgumentParser(prog="python -m chronolake.testing.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--seeds", type=int, default=40, help="run so many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=JOBS, help="so many databases side by side")
    parser.add_argument("--report", type=Path, help="write a page about it there")
    given = parser.parse_args()
    logs.configure(load({}).log)
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.seeds)
    tally = run(list(seeds), jobs=given.jobs, told=_say)
    text = report(tally, "python -m chronolake.testing.chaos " + " ".join(sys.argv[1:]))
    sys.stdout.write(text)
    if given.report:
        given.report.write_text(text)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
