"""A replication connection: the server's identity, slots with the snapshot they begin at, the stream of changes.

It speaks the streaming replication protocol by libpq itself (PostgreSQL documentation, "Streaming Replication
Protocol" and "Logical Streaming Replication Protocol"), as psycopg has no words for it.
"""

import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import psycopg
from psycopg import Connection, pq
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from chronolake.errors import DatabaseConflict, DatabaseError, DatabaseMisconfigured, DatabaseUnavailable
from chronolake.lsn import format_lsn, parse_lsn
from chronolake.oltp.statements import statement

#: What the sync subscribes to; made by a migration.
PUBLICATION = "chronolake"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DATA, _KEEPALIVE = b"wk"
#: A data message has a kind, two LSNs and a time before its payload.
_DATA_HEADER_BYTES = 25


#: Where something has come, so long a pause ends a reading, and so long it takes at most: few large readings cost
#: less than many small ones.
GATHER_S = 0.003
GATHERED_S = 0.05


@dataclass(frozen=True)
class Identity:
    """Which server, and which of its histories: LSNs of one are nothing to another."""

    system_id: str
    timeline: int
    lsn: int


@dataclass(frozen=True)
class NewSlot:
    """A slot that was made. Its stream begins right after what `snapshot` shows, which commits up to `lsn` made.

    The snapshot lives until the connection does something else or ends.
    """

    name: str
    lsn: int
    snapshot: str


@dataclass(frozen=True)
class SlotFacts:
    """What the server says of a slot. `held_bytes` of WAL are kept for it; LSNs are null once it is lost."""

    name: str
    active_pid: int | None
    confirmed_lsn: int | None
    restart_lsn: int | None
    wal_status: str | None
    held_bytes: int | None
    safe_bytes: int | None
    invalidation_reason: str | None


def slot_name(conn: Connection) -> str:
    """What the slot of this database is called: slots are named across a whole server."""
    row = conn.execute(statement("slot_name")).fetchone()
    return str(row[0]) if row else PUBLICATION


def slot_facts(conn: Connection, name: str) -> SlotFacts | None:
    """What the server says of the slot; null where there is none of that name in this database."""
    row = conn.execute(statement("slot_facts"), [name]).fetchone()
    return SlotFacts(*row) if row else None


def drop_slot(conn: Connection, name: str) -> None:
    """Drop the slot where it is; who reads from it is cut off first."""
    conn.execute(statement("slot_drop"), [name])


def cut_off(conn: Connection, name: str) -> None:
    """End the connection that reads from the slot, where there is one and the role may end it."""
    conn.execute(statement("slot_cut_off"), [name])


def release_wal(conn: Connection, name: str, *, kept_bytes: int) -> bool:
    """Let the slot go on from where it is confirmed, if it keeps more than `kept_bytes` of WAL; whether we may.

    Without the right to EXECUTE pg_log_standby_snapshot, the slot does so every 15 seconds, when the server makes one.
    """
    try:
        conn.execute(statement("slot_release"), [name, kept_bytes])
    except InsufficientPrivilege:
        conn.rollback()
        return False
    else:
        return True


class ReplicationConnection:
    """One connection that may replicate. For one thread at a time, save that any may `confirm`."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self._lock = threading.Lock()
        self._reply_wanted = False

    @classmethod
    @contextmanager
    def open(cls, url: str, *, timeout_s: float) -> Iterator[Self]:
        """Connect.

        Raises:
            DatabaseUnavailable: no server answers.
            DatabaseMisconfigured: the role may not replicate.
        """
        conninfo = make_conninfo(
            url,
            replication="database",
            application_name="chronolake sync",
            connect_timeout=max(2, round(timeout_s)),
            options="-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=1",
        )
        pgconn = pq.PGconn.connect(conninfo.encode())
        try:
            if pgconn.status != pq.ConnStatus.OK:
                _refuse(_message(pgconn))
            yield cls(pgconn)
        finally:
            pgconn.finish()

    def identify(self) -> Identity:
        """Which server this is and where its WAL is."""
        row = self._query(b"IDENTIFY_SYSTEM")
        return Identity(row[0], int(row[1]), parse_lsn(row[2]))

    def create_slot(self, name: str, *, temporary: bool = False) -> NewSlot:
        """Make a slot, and a snapshot of the database as it is where the slot's stream begins.

        Raises:
            DatabaseError: there is one of that name, or no more slots can be made.
        """
        kind = b"TEMPORARY " if temporary else b""
        row = self._query(
            b"CREATE_REPLICATION_SLOT "
            + name.encode()
            + b" "
            + kind
            + b"LOGICAL pgoutput (SNAPSHOT 'export')"
        )
        return NewSlot(row[0], parse_lsn(row[1]), row[2])

    def start(self, slot: str, lsn: int) -> None:
        """Begin to stream the changes that were committed at or after `lsn`.

        Large transactions are streamed before they commit, so that nobody holds them in memory.

        Raises:
            DatabaseConflict: somebody reads from the slot.
            DatabaseError: the slot is gone or lost.
        """
        command = (
            f"START_REPLICATION SLOT {slot} LOGICAL {format_lsn(lsn)} (proto_version '2',"
            f" publication_names '{PUBLICATION}', binary 'true', messages 'true', streaming 'on', origin 'none')"
        )
        result = self._pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            _refuse(_told(result))
        self._pgconn.nonblocking = 1

    def read(self, *, max_bytes: int, wait_s: float) -> list[bytes | int]:
        """What has come, in order, waiting up to `wait_s` for the first of it.

        Bytes are a message of pgoutput; a number is an LSN up to which the server has sent all there is.

        Raises:
            DatabaseUnavailable: the connection or the stream ended.
        """
        items: list[bytes | int] = []
        size = 0
        deadline = time.monotonic() + wait_s
        gathered_by: float | None = None
        get = self._pgconn.get_copy_data
        try:
            while True:
                with self._lock:
                    self._pgconn.consume_input()
                    while size < max_bytes:
                        count, data = get(1)
                        if count <= 0:
                            break
                        kind = data[0]
                        if kind == _DATA:
                            items.append(bytes(data[_DATA_HEADER_BYTES:]))
                            size += count
                        elif kind == _KEEPALIVE:
                            items.append(int.from_bytes(data[1:9]))
                            self._reply_wanted |= bool(data[17])
                    else:
                        break
                    if count < 0:
                        self._end()
                now = time.monotonic()
                if items and gathered_by is None:
                    gathered_by = now + GATHERED_S
                if gathered_by is not None and now >= gathered_by:
                    break
                if not self._readable(GATHER_S if items else max(0.0, deadline - now)):
                    break
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the change stream broke: {str(error).strip()}") from error
        return items

    @property
    def reply_wanted(self) -> bool:
        """Whether the server asked for a word, and ends the stream if it hears none."""
        return self._reply_wanted

    def confirm(self, lsn: int, *, ask: bool = False) -> None:
        """Tell the server that everything up to `lsn` is safe here; with `ask`, to say how far it is.

        Raises:
            DatabaseUnavailable: the connection broke.
        """
        now = int((datetime.now(UTC) - _EPOCH).total_seconds() * 1_000_000)
        try:
            with self._lock:
                self._pgconn.put_copy_data(struct.pack(">cQQQQB", b"r", lsn, lsn, lsn, now, ask))
                while self._pgconn.flush():
                    select.select([], [self._pgconn.socket], [], 1.0)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the change stream broke: {str(error).strip()}") from error
        self._reply_wanted = False

    def _readable(self, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self._pgconn.socket, select.POLLIN)
        return bool(poll.poll(int(wait_s * 1000)))

    def _end(self) -> None:
        result = None
        with suppress(psycopg.Error):
            result = self._pgconn.get_result()
        _refuse(_told(result) if result is not None else _message(self._pgconn))

    def _query(self, command: bytes) -> list[str]:
        result = self._pgconn.exec_(command)
        if result.status != pq.ExecStatus.TUPLES_OK:
            _refuse(_told(result))
        return [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]


def _told(result: pq.abc.PGresult) -> str:
    return result.error_message.decode(errors="replace").strip() or "the server said nothing"


def _message(pgconn: pq.abc.PGconn) -> str:
    return pgconn.error_message.decode(errors="replace").strip() or "the connection ended"


def _refuse(text: str) -> None:
    """Raise what a server's refusal means to us."""
    if "must be superuser or replication role" in text or "permission denied to start WAL sender" in text:
        raise DatabaseMisconfigured(
            f"PostgreSQL: {text}", hint="As a superuser: ALTER ROLE <the role of DATABASE_URL> REPLICATION;"
        )
    if "all replication slots are in use" in text:
        raise DatabaseMisconfigured(
            f"PostgreSQL: {text}", hint="Raise max_replication_slots, or drop a slot that nobody uses."
        )
    if "is active for PID" in text:
        raise DatabaseConflict(f"PostgreSQL: {text}")
    if text.startswith(("ERROR", "FATAL")) and "terminating" not in text and "starting up" not in text:
        raise DatabaseError(f"PostgreSQL: {text}")
    raise DatabaseUnavailable(f"PostgreSQL: {text}")
