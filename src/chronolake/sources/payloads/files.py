"""Payloads from WARC, ARC and WACZ files on this machine: by the name of the file and the place of the record."""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from chronolake.capture.candidate import Candidate
from chronolake.errors import InputUnreadable
from chronolake.sources.local import expand, name_of
from chronolake.sources.local.record import read_record
from chronolake.sources.payloads.kept import Kept, NotFetched, Unfetched, kept_of

_WACZ = ".wacz"
#: Of a member's own header in a ZIP file (APPNOTE 4.3.7): its length without name and extra field, and where the
#: lengths of these two stand; and the flag of one that asks for a password.
_HEADER, _NAME_LENGTHS = 30, 26
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class _Lying:
    """Where a file lies: at `path`, or as `member` of the WACZ file there.

    A member that is stored as it is, as all of WACZ files should be, begins at `start` of it.
    """

    path: Path
    member: str | None = None
    start: int = 0


class WarcFiles:
    """The files that `paths` names, folders with all that is in them, told apart by their names without folders.

    Of two files of one name the first is read: an archive's files bear names that are theirs alone.

    Raises:
        InputUnreadable: a path leads nowhere, or is a WACZ file that cannot be read.
    """

    def __init__(self, paths: Sequence[str], *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lying: dict[str, _Lying] = {}
        for file in expand(paths):
            path = Path(file.path)
            if not path.is_file():
                raise InputUnreadable(
                    f"{name_of(file.path)} is no file and no folder", hint="Check the path."
                )
            self._lying.setdefault(name_of(path.name), _Lying(path))
            if path.suffix.lower() == _WACZ:
                self._add_members(path)

    def knows(self, candidate: Candidate) -> bool:
        """Whether the capture names a file that is here, and a place in it."""
        return candidate.warc_record_offset is not None and self._named(candidate) in self._lying

    def get(self, candidate: Candidate) -> Kept:
        """See `PayloadWay`."""
        lying = self._lying[self._named(candidate)]
        try:
            with _opened(lying, candidate.warc_record_offset or 0) as stream:
                record = read_record(stream, str(lying.path), self._most_bytes)
        except InputUnreadable as error:
            raise NotFetched(Unfetched.UNREADABLE, error.message) from error
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise NotFetched(
                Unfetched.UNREADABLE, f"{name_of(lying.path.name)} cannot be read: {error}"
            ) from error
        return kept_of(record, candidate)

    def _named(self, candidate: Candidate) -> str:
        return PurePath(candidate.warc_filename or "").name

    def _add_members(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as bundle:
                for info in bundle.infolist():
                    named = name_of(PurePath(info.filename).name)
                    self._lying.setdefault(named, _lying_of(path, info))
        except (zipfile.BadZipFile, NotImplementedError, UnicodeError, OSError, struct.error) as error:
            why = f"{name_of(path.name)} is damaged: {error}"
            raise InputUnreadable(why, hint="Fetch the file again.") from None


def _lying_of(path: Path, info: zipfile.ZipInfo) -> _Lying:
    """Where a member lies; one that is packed or encrypted is known by its name alone."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
        return _Lying(path, info.filename)
    with path.open("rb") as stream:
        stream.seek(info.header_offset + _NAME_LENGTHS)
        name, more = struct.unpack("<HH", stream.read(4))
    return _Lying(path, None, info.header_offset + _HEADER + name + more)


@contextmanager
def _opened(lying: _Lying, offset: int) -> Iterator[IO[bytes]]:
    """The file from `offset` on."""
    if lying.member is None:
        with lying.path.open("rb") as stream:
            stream.seek(lying.start + offset)
            yield stream
        return
    with zipfile.ZipFile(lying.path) as bundle, bundle.open(lying.member) as member:
        member.seek(offset)
        yield member
