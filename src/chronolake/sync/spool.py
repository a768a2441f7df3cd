"""Transactions that are streamed before they commit, kept on disk until they do: a huge one is never in memory.

What lies in a spool is worth nothing after a crash, for the server streams the transaction again.
"""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from chronolake.sync.messages import Relation

_HEADER = struct.Struct("<II")
#: Bytes that a spool gathers before it writes them.
_BUFFER_BYTES = 1 << 20


class Spool:
    """The messages of one transaction in progress, each with the (sub)transaction it belongs to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("w+b", buffering=_BUFFER_BYTES)
        self._aborted: set[int] = set()
        self.bytes = 0
        self.rows = 0
        #: what dual-write messages say, by the (sub)transaction that wrote them
        self.batches: dict[int, dict[str, object]] = {}
        #: what it tells of relations, with the (sub)transaction that told it
        self._relations: list[tuple[int, Relation]] = []

    def add(self, xid: int, message: bytes) -> None:
        """Keep one message of the transaction `xid`."""
        self._file.write(_HEADER.pack(xid, len(message)))
        self._file.write(message)
        self.bytes += len(message)
        self.rows += 1

    def tell(self, xid: int, relation: Relation) -> None:
        """Keep in mind what the transaction says of a relation, so that nobody must look for it."""
        self._relations.append((xid, relation))

    @property
    def relations(self) -> list[Relation]:
        """What the transaction says of relations, as far as it was not aborted, in order."""
        return [relation for xid, relation in self._relations if xid not in self._aborted]

    def abort(self, xid: int) -> None:
        """Leave out what the subtransaction `xid` did."""
        self._aborted.add(xid)

    @property
    def batch(self) -> dict[str, object] | None:
        """What the transaction's dual-write message says, if it has one that was not aborted."""
        return next((words for xid, words in self.batches.items() if xid not in self._aborted), None)

    def messages(self) -> Iterator[bytes]:
        """The messages of what was not aborted, in order."""
        self._file.seek(0)
        while header := self._file.read(_HEADER.size):
            xid, size = _HEADER.unpack(header)
            message = self._file.read(size)
            if xid not in self._aborted:
                yield message

    def close(self) -> None:
        """Remove it. Calling it twice is safe."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Spools:
    """The spools of all transactions in progress, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, Spool] = {}
        # Left behind by a process that was killed.
        shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for spool in self._open.values():
            spool.close()
        self._open.clear()

    def of(self, xid: int) -> Spool:
        """The spool of the top-level transaction `xid`, made where there is none."""
        if xid not in self._open:
            self._open[xid] = Spool(self._folder / f"{xid}.spool")
        return self._open[xid]

    def take(self, xid: int) -> Spool | None:
        """The spool of a transaction that ended; whoever takes it closes it."""
        return self._open.pop(xid, None)

    def abort(self, xid: int, subxid: int) -> None:
        """Forget a transaction, or what one of its subtransactions did."""
        spool = self._open.get(xid)
        if spool is None:
            return
        if xid == subxid:
            self._open.pop(xid).close()
        else:
            spool.abort(subxid)
