"""Where captures come from: files, folders, globs and standard input, decompressed as a stream.

Compression is told by its magic bytes, never by a name. A damaged tail costs what comes after it and no more.
"""

import bz2
import glob
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from chronolake.errors import InputUnreadable
from chronolake.sources.local.raw import name_of

#: Bytes that are read from disk at a time.
_PIECE = 1 << 20
#: Most bytes that one read of a decompressor gives out: a small file can hold gigabytes of zeros.
_MOST_OUT = 1 << 23
#: Bytes of the smallest zstd block, and most bytes that any block holds (RFC 8878, 3.1.1.2).
_ZSTD_BLOCK, _ZSTD_BLOCK_HOLDS = 4, 128 * 1024
_GZIP, _BZIP2, _ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"
#: A skippable frame, as a WARC's dictionary stands in (RFC 8878, 3.1.2): 0x50 to 0x5F before these.
_SKIPPABLE_ZSTD = b"\x2a\x4d\x18"
_FEXTRA = 4
#: Beginnings of compressed members that are remembered: more than lie in what is read ahead.
_MEMBERS = 1 << 16


@dataclass(frozen=True)
class InputFile:
    """One file to read; `path` is `-` and `size` (bytes) null for standard input."""

    path: str
    size: int | None


def expand(paths: Sequence[str]) -> list[InputFile]:
    """The files that `paths` names: files, folders with all that is in them, globs, `-`.

    A path that leads nowhere stays in the list, and so does a folder that may not be listed, so that reading it
    says what is wrong.
    """
    found: dict[str, InputFile] = {}
    for path in paths:
        for name in _names(path):
            found.setdefault(name, InputFile(name, _size(name)))
    return list(found.values())


def _names(path: str) -> list[str]:
    # What may not be looked at counts as a file here, and says so when it is opened.
    if path == "-" or os.path.isfile(path):  # noqa: PTH113  # pathlib raises where this answers False
        return [path]
    if os.path.isdir(path):  # noqa: PTH112  # as above
        return sorted(_inside(path)) or [path]
    return sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name)) or [path]  # noqa: PTH113, PTH207  # as above; patterns may be absolute


def _inside(path: str) -> list[str]:
    """The files in a folder and in those in it, and the folders that may not be listed."""
    unlisted: list[str] = []
    walk = os.walk(path, onerror=lambda error: unlisted.append(error.filename or path))
    found = [str(Path(folder) / name) for folder, _, names in walk for name in names if name[0] != "."]
    return found + unlisted


def _size(name: str) -> int | None:
    if name == "-":
        return None
    try:
        return Path(name).stat().st_size
    except OSError:
        return 0


@contextmanager
def opened(file: InputFile, stdin: BinaryIO | None) -> Iterator[BinaryIO]:
    """The file's bytes as they lie on disk.

    Raises:
        InputUnreadable: it is missing, may not be read, or is a folder with nothing in it.
    """
    if file.path == "-":
        if stdin is None:
            raise InputUnreadable("there is no standard input to read", hint="Name a file.")
        yield stdin
        return
    name = name_of(file.path)
    try:
        stream = Path(file.path).open("rb")  # noqa: SIM115  # closed below; only opening it may fail here
    except FileNotFoundError:
        raise InputUnreadable(f"{name} does not exist", hint="Check the path.") from None
    except PermissionError:
        raise InputUnreadable(f"{name} may not be read", hint="Give yourself the right to.") from None
    except IsADirectoryError:
        raise _folder_error(file.path) from None
    except OSError as error:
        hint = "Check the path and its disk."
        raise InputUnreadable(f"{name} cannot be read: {error.strerror}", hint=hint) from error
    with stream:
        yield stream


def _folder_error(path: str) -> InputUnreadable:
    """Why a folder stands where a file should: it may not be listed, or nothing is in it."""
    try:
        with os.scandir(path):
            hint = "Name files, or a folder that has some."
            return InputUnreadable(f"the folder {name_of(path)} has no files in it", hint=hint)
    except OSError as error:
        why = f"the folder {name_of(path)} cannot be listed: {error.strerror}"
        return InputUnreadable(why, hint="Give yourself the right to, or name other files.")


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class Source:
    """A stream of decompressed bytes.

    `taken` counts bytes as they lie on disk, of which `piece` are read at a time. `damage` says, once the stream has
    ended, what is wrong with its end. Members of a gzip file that end within a line have their line ended, save in a
    BGZF file.
    """

    def __init__(self, stream: Readable, name: str, *, piece: int = _PIECE) -> None:
        self.name = name
        self._piece = piece
        self.taken = 0
        self.damage: str | None = None
        self.compressed = False
        self._stream = stream
        self._pieces = self._decompressed()
        self._held = bytearray()
        self._ended = False
        self._given = 0
        #: where members begin: in the stream, and on the disk
        self._begun: deque[tuple[int, int]] = deque(maxlen=_MEMBERS)

    def member_at(self, place: int) -> int | None:
        """Where on the disk the member begins whose data begin at `place` of the stream; null where none does.

        Places that are asked for must not go back.
        """
        while self._begun and self._begun[0][0] < place:
            self._begun.popleft()
        return self._begun[0][1] if self._begun and self._begun[0][0] == place else None

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; they stay to be read."""
        while len(self._held) < size and self._more():
            pass
        return bytes(self._held[:size])

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end and none after it."""
        while len(self._held) < size and self._more():
            pass
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def _more(self) -> bool:
        if self._ended:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            return False
        self._held += piece
        self._given += len(piece)
        return True

    def _raw(self) -> bytes:
        try:
            data = self._stream.read(self._piece)
        except OSError as error:
            self.damage = f"reading failed: {error.strerror or error}"
            return b""
        self.taken += len(data)
        return data

    def _decompressed(self) -> Iterator[bytes]:
        first = self._raw()
        while 0 < len(first) < 4 and (more := self._raw()):
            first += more
        if first[:2] == _GZIP:
            yield from self._gzip(first)
        elif first[:3] == _BZIP2:
            yield from self._members(first, bz2.BZ2Decompressor)
        elif first[:4] == _ZSTD or (first[1:4] == _SKIPPABLE_ZSTD and first[0] >> 4 == 5):
            yield from self._members(first, _ZstdMember)
        else:
            while first:
                yield first
                first = self._raw()

    def _gzip(self, data: bytes) -> Iterator[bytes]:
        """Members one after the other. Those of a ZipNum index do not end their last line: it is ended here."""
        self.compressed = True
        last = b"\n"
        while data or (data := self._raw()):
            if data[:2] != _GZIP:
                if data.strip(b"\0"):
                    self.damage = "bytes that are no gzip member follow the last one"
                return
            # The blocks of a BGZF file cut through lines, and say so in their header's extra field.
            cut_anywhere = len(data) > 3 and bool(data[3] & _FEXTRA)
            if last != b"\n" and not cut_anywhere:
                yield b"\n"
                last = b"\n"
            self._begun.append((self._given, self.taken - len(data)))
            member = zlib.decompressobj(31)
            while not member.eof:
                try:
                    out = member.decompress(data, _MOST_OUT)
                except zlib.error as error:
                    self.damage = f"the gzip data is damaged: {error}"
                    return
                if out:
                    last = out[-1:]
                    yield out
                data = member.unconsumed_tail
                if not data and not member.eof and not (data := self._raw()):
                    if out := member.flush():
                        yield out
                    self.damage = "the gzip data ends too early"
                    return
            data = member.unused_data
            if 0 < len(data) < 4:
                data += self._raw()

    def _members(self, data: bytes, make: Callable[[], "_Member"]) -> Iterator[bytes]:
        self.compressed = True
        while data or (data := self._raw()):
            self._begun.append((self._given, self.taken - len(data)))
            member = make()
            while not member.eof:
                if member.needs_input and not data and not (data := self._raw()):
                    self.damage = "the compressed data ends too early"
                    return
                try:
                    out = member.decompress(data, _MOST_OUT)
                except (OSError, zstandard.ZstdError) as error:
                    self.damage = f"the compressed data is damaged: {error}"
                    return
                data = b""
                if out:
                    yield out
            data = member.unused_data


class _Member(Protocol):
    """One compressed stream of several, as `bz2.BZ2Decompressor` is."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to give out of the data it was given."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given and lies behind the member's end."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take `data` in addition, and give out at most `max_length` bytes."""
        ...


class _ZstdMember:
    """zstd with the face of bzip2: its library gives out all at once, so it is given little at a time."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._given = b""
        self._place = 0

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return self._place >= len(self._given)

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self._given[self._place :]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._given, self._place = self._given[self._place :] + data, 0
        size = max(_ZSTD_BLOCK, max_length // _ZSTD_BLOCK_HOLDS * _ZSTD_BLOCK)
        piece = self._given[self._place : self._place + size]
        self._place += len(piece)
        return self._frame.decompress(piece)
