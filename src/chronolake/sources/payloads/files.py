"""Payloads from WARC, ARC and WACZ files on this machine: by the name of the file and the place of the record."""

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


@dataclass(frozen=True)
class _Lying:
    """Where a file lies: at `path`, or as `member` of the WACZ file there."""

    path: Path
    member: str | None = None


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
            with _opened(lying) as stream:
                stream.seek(candidate.warc_record_offset or 0)
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
                for name in bundle.namelist():
                    self._lying.setdefault(name_of(PurePath(name).name), _Lying(path, name))
        except (zipfile.BadZipFile, NotImplementedError, UnicodeError, OSError) as error:
            why = f"{name_of(path.name)} is damaged: {error}"
            raise InputUnreadable(why, hint="Fetch the file again.") from None


@contextmanager
def _opened(lying: _Lying) -> Iterator[IO[bytes]]:
    if lying.member is None:
        with lying.path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(lying.path) as bundle, bundle.open(lying.member) as member:
        yield member
