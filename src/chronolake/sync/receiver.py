"""Read the stream ahead: while a stretch is applied, the server goes on decoding its WAL and sending.

Whoever applies for minutes still has to be heard of by the server, which ends a stream after `wal_sender_timeout`
(60 s) without a word: the thread that reads gives that word.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from chronolake.oltp.replication import ReplicationConnection

#: Bytes that are read ahead and not taken yet, and that are read at once.
AHEAD_BYTES = 64 << 20
READ_BYTES = 4 << 20
#: How long one reading waits for something to come: so long at most the end waits.
WAIT_S = 0.1
#: How often the server is told where we are, if nobody else makes us.
WORD_S = 10.0


class Receiver:
    """What a started stream brings, read by a thread of its own. For one taker.

    Within a `with` block; the stream belongs to it until the block ends.
    """

    def __init__(self, stream: ReplicationConnection, *, lsn: int, ahead_bytes: int = AHEAD_BYTES) -> None:
        self._stream = stream
        self._ahead_bytes = ahead_bytes
        #: what is safe here
        self._lsn = lsn
        #: what has come and was not taken yet, its bytes, and when it came
        self._chunks: deque[tuple[list[bytes | int], int, float]] = deque()
        #: when the oldest came of what was taken last
        self.came_at = time.monotonic()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._pool = ThreadPoolExecutor(1, "sync-receiver")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        self._running = self._pool.submit(self._run)
        self._running.add_done_callback(lambda _: self._tell())
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._tell()
        self._pool.shutdown()

    def read(self, *, max_bytes: int, wait_s: float) -> list[bytes | int]:
        """What has come, in order, waiting up to `wait_s` for the first of it, as `ReplicationConnection.read`.

        Raises:
            DatabaseUnavailable: the connection or the stream ended, and all that came before is taken.
        """
        with self._changed:
            running = self._running
            self._changed.wait_for(lambda: self._chunks or running is None or running.done(), wait_s)
            if not self._chunks and running is not None and running.done():
                # Its own error, if it had one.
                running.result()
            items: list[bytes | int] = []
            taken = 0
            if self._chunks:
                self.came_at = self._chunks[0][2]
            while self._chunks and taken < max_bytes:
                chunk, size, _ = self._chunks.popleft()
                items += chunk
                taken += size
            self._bytes -= taken
            self._changed.notify_all()
        return items

    def confirm(self, lsn: int) -> None:
        """Tell the server that everything up to `lsn` is safe here, and ask how far it is.

        Raises:
            DatabaseUnavailable: the connection broke.
        """
        self._lsn = lsn
        self._stream.confirm(lsn, ask=True)

    @property
    def reply_wanted(self) -> bool:
        """Whether the server asked for a word."""
        return self._stream.reply_wanted

    def _run(self) -> None:
        told_at = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(self._may_read, WORD_S)
                if self._stopped:
                    return
                reads = self._may_read()
            if reads and (items := self._stream.read(max_bytes=READ_BYTES, wait_s=WAIT_S)):
                size = sum(len(item) for item in items if isinstance(item, bytes))
                with self._changed:
                    self._chunks.append((items, size, time.monotonic()))
                    self._bytes += size
                    self._changed.notify_all()
            if time.monotonic() - told_at >= WORD_S:
                told_at = time.monotonic()
                self._stream.confirm(self._lsn)

    def _may_read(self) -> bool:
        return self._stopped or self._bytes < self._ahead_bytes

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
