"""Undo what a body was wrapped in on its way: transfer and content codings. Pure, and bounded in what comes out.

Archives say of a body how it was sent, and often keep it unwrapped; others cut it in two. So a coding that a body
does not have is passed over, and one that breaks off gives what it held up to there.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import brotli
import zstandard

#: Bytes that a decompressor gives out at a time.
_PIECE = 1 << 20
#: Takes data apart and hands on piece after piece, until it is told that it is enough; whether the data were whole.
Decoder = Callable[[bytes, Callable[[bytes], bool]], bool]
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r\n]*)?\r?\n")


@dataclass(frozen=True)
class Undone:
    """A body without its codings. `cut`: there is more than was allowed; `damage`: what is wrong with its end."""

    body: bytes
    cut: bool = False
    damage: str | None = None


class _Broken(Exception):
    """The data are not of this coding, or broken in the middle."""


def dechunked(body: bytes) -> Undone:
    """A body without the chunks of HTTP/1.1 (RFC 9112, 7.1); as it is, where it does not begin as one."""
    pieces: list[bytes] = []
    place = 0
    while (line := _CHUNK.match(body, place)) is not None:
        size = int(line[1], 16)
        if size == 0:
            return Undone(b"".join(pieces))
        piece = body[line.end() : line.end() + size]
        pieces.append(piece)
        place = line.end() + size
        if len(piece) < size:
            break
        # The line end after a chunk, which some write as LF alone.
        place += 2 if body[place : place + 2] == b"\r\n" else int(body[place : place + 1] == b"\n")
    if not pieces:
        return Undone(body)
    return Undone(b"".join(pieces), damage="its chunks break off")


def undo(body: bytes, codings: str, most_bytes: int) -> Undone:
    """A body without the content codings that a Content-Encoding header names, the last first.

    At most `most_bytes` come out. A coding that nobody knows, or that the body does not have, is passed over.
    """
    found = Undone(body)
    for name in reversed([name.strip().lower() for name in codings.split(",")]):
        pieces = _CODINGS.get(name)
        if pieces is not None and found.body:
            # What is inside breaks off where its wrapping does.
            inner = _collected(pieces, found.body, most_bytes)
            found = Undone(inner.body, inner.cut, inner.damage or found.damage)
    if len(found.body) <= most_bytes:
        return found
    return Undone(found.body[:most_bytes], cut=True)


def _collected(pieces: Decoder, data: bytes, most_bytes: int) -> Undone:
    """What `pieces` makes of the data; the data themselves, where they are not of its coding."""
    out = bytearray()

    def take(piece: bytes) -> bool:
        out.extend(piece)
        return len(out) <= most_bytes

    try:
        whole = pieces(data, take)
    except _Broken:
        if not out:
            return Undone(data)
        whole = False
    cut = len(out) > most_bytes
    return Undone(bytes(out[:most_bytes]), cut, None if whole or cut else "its compressed data end too early")


def _inflate(data: bytes, take: Callable[[bytes], bool], bits: int, *, members: bool) -> bool:
    """Whether zlib's data are whole."""
    while data:
        unzip = zlib.decompressobj(bits)
        while not unzip.eof:
            try:
                piece = unzip.decompress(data, _PIECE)
            except zlib.error as error:
                raise _Broken(str(error)) from None
            data = unzip.unconsumed_tail
            if not take(piece):
                return True
            if not piece and not data and not unzip.eof:
                return False
        # After the last member may stand zeros, or whatever the server sent.
        data = unzip.unused_data if members and unzip.unused_data[:2] == b"\x1f\x8b" else b""
    return True


def _gzip(data: bytes, take: Callable[[bytes], bool]) -> bool:
    return _inflate(data, take, 31, members=True)


def _deflate(data: bytes, take: Callable[[bytes], bool]) -> bool:
    # Half of the servers mean zlib's format by it (RFC 9110, 8.4.1.2), the other half the bare data.
    bare = not (data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0)
    return _inflate(data, take, -15 if bare else 15, members=False)


def _brotli(data: bytes, take: Callable[[bytes], bool]) -> bool:
    decompressor = brotli.Decompressor()
    try:
        while take(decompressor.process(data, output_buffer_limit=_PIECE)):
            if decompressor.can_accept_more_data() or decompressor.is_finished():
                return bool(decompressor.is_finished())
            data = b""
    except brotli.error as error:
        raise _Broken(str(error)) from None
    return True


def _zstd(data: bytes, take: Callable[[bytes], bool]) -> bool:
    reader = zstandard.ZstdDecompressor().stream_reader(BytesIO(data), read_across_frames=True)
    try:
        while piece := reader.read(_PIECE):
            if not take(piece):
                return True
    except zstandard.ZstdError as error:
        raise _Broken(str(error)) from None
    return True


_CODINGS: dict[str, Decoder] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
#: The codings that can be undone, as an Accept-Encoding header says them.
ACCEPTED = ", ".join(name for name in _CODINGS if name != "x-gzip")
