"""The body of one answer on its way: decompressed, measured, bounded."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Unusable

#: Bytes of an answer that are kept in memory; more of it waits on disk.
IN_MEMORY = 4 << 20


@dataclass(frozen=True)
class AsSent:
    """Take the body as it is sent, codings and all, and no more than `most_bytes` of it: the rest is left unread.

    So a payload is asked for, whose codings may be its own and not the archive's. `headers` go with the request.
    """

    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)


class Spool:
    """The body of one answer on its way: decompressed, measured, bounded."""

    def __init__(self, file: BinaryIO, most_bytes: int, as_sent: AsSent | None = None) -> None:
        self.sent = 0
        self.size = 0
        #: whether no more is wanted, and more may come
        self.cut = False
        self._file = file
        self._most_bytes = most_bytes
        self._as_sent = as_sent
        self._unzip: zlib._Decompress | None = None

    def begin(self, encoding: str) -> None:
        """Take what comes as `encoding`: nothing or gzip, which is all that we say we accept."""
        if self._as_sent is not None:
            return
        if encoding in {"gzip", "x-gzip"}:
            self._unzip = zlib.decompressobj(31)
        elif encoding not in {"", "identity"}:
            raise Unusable(Outcome.MALFORMED, f"its encoding {encoding} was not asked for")

    def take(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""
        self.sent += len(data)
        if self._as_sent is not None:
            self.cut = self.sent > self._as_sent.most_bytes
            data = data[: self._as_sent.most_bytes - self.size]
            self._file.write(data)
            self.size += len(data)
            return
        while data:
            if self._unzip is None:
                out, data = data, b""
            else:
                if self._unzip.eof:
                    # Gzip data may be several members, one after the other (RFC 1952, 2.2).
                    self._unzip = zlib.decompressobj(31)
                try:
                    # Little at a time: a small answer can hold gigabytes of zeros.
                    out = self._unzip.decompress(data, IN_MEMORY)
                except zlib.error as error:
                    raise Unusable(Outcome.MALFORMED, f"its gzip data is damaged: {error}") from None
                data = self._unzip.unconsumed_tail or self._unzip.unused_data
            self._file.write(out)
            self.size += len(out)
            if self.size > self._most_bytes:
                why = f"it is larger than {self._most_bytes} bytes (CHRONOLAKE_ARCHIVE_MAX_BYTES)"
                raise Unusable(Outcome.MALFORMED, why)

    def end(self) -> None:
        """The body has ended: so must what it is compressed by."""
        if self._unzip is not None and self.sent and not self._unzip.eof:
            raise Unusable(Outcome.TRUNCATED, "its gzip data ends too early")
