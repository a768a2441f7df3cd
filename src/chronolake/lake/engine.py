"""The one module that opens DuckDB: extensions from their wheels, limits from the settings.

Each process has an engine of its own in memory: two processes cannot open one DuckDB file for writing, and
facts never live in it. What does not fit in memory spills into a folder of the process beside
DUCKDB_DATABASE_PATH. Moving to another DuckDB means changing this module and `failure.py`.
"""

import importlib.util
import itertools
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from chronolake import priority
from chronolake.errors import LakeUnavailable
from chronolake.lake.machine import engine_memory_bytes, memory_bytes
from chronolake.settings import Settings

#: What the lake needs, and what S3 and HTTP need on top.
LAKE_EXTENSIONS = ("ducklake", "postgres_scanner")
S3_EXTENSIONS = ("httpfs",)

_numbers = itertools.count(1)


class Engine:
    """One DuckDB instance in memory. Cursors may be made in any thread; each is for one thread at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
        self._root = connection
        self._spill = spill
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings, *, memory_share: float = 1.0, threads: int | None = None) -> Self:
        """Start an engine with a share of the memory that the settings allow, and their threads or `threads`.

        Raises:
            LakeUnavailable: an extension's wheel is missing or of another version, or the spill folder
                cannot be made.
        """
        _know_what_is_missing()
        spill = _spill_folder(settings.duckdb_scratch)
        allowed = engine_memory_bytes(settings.duckdb.memory_limit, memory_bytes())
        connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_unsigned_extensions": "false",
                "memory_limit": f"{int(allowed * memory_share)}B",
                "threads": str(threads or settings.duckdb_threads),
                "temp_directory": str(spill),
            },
        )
        names = LAKE_EXTENSIONS + (S3_EXTENSIONS if settings.duckdb.enable_s3 else ())
        try:
            for name in names:
                connection.execute(f"LOAD {quoted(str(extension_path(name)))}")
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            # Rows of a query have an order only where it asks for one; keeping the files' order costs memory.
            connection.execute("SET GLOBAL preserve_insertion_order = false")
            # Footers of lake files never change, so reading them once is enough.
            connection.execute("SET GLOBAL parquet_metadata_cache = true")
        except (duckdb.Error, LakeUnavailable) as error:
            connection.close()
            shutil.rmtree(spill, ignore_errors=True)
            if isinstance(error, LakeUnavailable):
                raise
            raise LakeUnavailable(
                f"an extension of DuckDB {duckdb.__version__} cannot be loaded: {error}",
                hint="Install chronolake anew: make setup",
            ) from error
        return cls(connection, spill)

    @classmethod
    def open_in_background(cls, settings: Settings, *, memory_share: float) -> Self:
        """As `open`, with threads that give way, as the one does that opens it and starts them."""
        with ThreadPoolExecutor(1, "background", initializer=priority.give_way) as opening:
            return opening.submit(cls.open, settings, memory_share=memory_share).result()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A fresh connection to this engine; close it when done."""
        with self._lock:
            return self._root.cursor()

    def execute(self, sql: str) -> None:
        """Run a statement that sets the engine up; never a query."""
        with self._lock:
            self._root.execute(sql)

    def close(self) -> None:
        """End the engine and remove what it spilled. Calling it twice is safe."""
        with self._lock:
            self._root.close()
        shutil.rmtree(self._spill, ignore_errors=True)


def extension_path(name: str) -> Path:
    """Where the wheel `duckdb-extension-<name>` keeps the binary for the DuckDB that runs.

    Raises:
        LakeUnavailable: the wheel is not installed, or is for another DuckDB.
    """
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
        path = folder / f"{name}.duckdb_extension"
        if path.is_file():
            return path
    wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
    raise LakeUnavailable(f"the DuckDB extension {name} is not installed", hint=f"Install {wheel}")


def quoted(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _know_what_is_missing() -> None:
    """Let DuckDB not look for pandas with each statement that has values, where there is none.

    Python remembers what was imported and not what was missing: it looks through every folder of its path, and gives
    the interpreter away at each, which under load takes longer than the query.
    """
    if "pandas" not in sys.modules and importlib.util.find_spec("pandas") is None:
        # pyarrow looks for it once and remembers; what it finds after the next line it would take for pandas.
        pa.array([None])
        # Python's own way to say so: importing it fails at once.
        sys.modules["pandas"] = None  # type: ignore[assignment]


def _spill_folder(scratch: Path) -> Path:
    """A folder for this engine alone, `<scratch>.tmp/<process>-<number>`; those of dead processes go."""
    base = scratch.with_name(scratch.name + ".tmp")
    spill = base / f"{os.getpid()}-{next(_numbers)}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for left in base.iterdir():
            if not _alive(left.name.partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        spill.mkdir(exist_ok=True)
    except OSError as error:
        raise LakeUnavailable(
            f"the engine's folder {spill} cannot be made: {error.strerror}",
            hint="Set DUCKDB_DATABASE_PATH to a path in a folder that can be written.",
        ) from error
    return spill


def _alive(pid: str) -> bool:
    """Whether a process of that number runs; True for what is no number, for it is not ours to remove."""
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
