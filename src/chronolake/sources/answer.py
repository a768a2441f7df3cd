"""An archive's answer: kept in a temporary file until it is whole, and looked over before any of it counts.

An answer that broke off would look like a shorter one, and a missing resume key like the last page. So each form
of answer is checked for its end, and what it holds is counted, before a row of it goes anywhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from chronolake.capture.attempt import Outcome
from chronolake.sources.local import Format, detect, link_of, text_of

#: Bytes at the beginning that tell what an answer is, and of an error page that are read for its reason.
HEAD_BYTES = 64 * 1024
#: Bytes of a line that are looked at; a capture may be longer, and its end does not matter here.
_LOOKED_AT = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """One answer, decompressed in `body`; `url` is what was asked. `cut`: the rest of it was left unread."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: BinaryIO
    size: int
    cut: bool = False

    def whole(self) -> bytes:
        """All of the body."""
        self.body.seek(0)
        return self.body.read()

    def head(self) -> bytes:
        """The beginning of the body."""
        self.body.seek(0)
        return self.body.read(HEAD_BYTES)


@dataclass(frozen=True)
class Contents:
    """What a whole answer holds: its captures, null where it is about something else, and where it goes on."""

    rows: int | None
    resume_key: str | None = None
    #: what it says, where it holds no captures
    document: object = None

    @property
    def outcome(self) -> Outcome:
        """How the attempt went."""
        return Outcome.EMPTY if self.rows == 0 else Outcome.OK


class Unusable(Exception):
    """A body that is not what was asked for; `outcome` is `MALFORMED`, or `TRUNCATED` where its end is missing.

    `NOT_FOUND`: it says in its own way that there is no such thing, so that it is not asked for again.
    """

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why


def wayback_json(answer: Answer) -> Contents:
    """A Wayback API array, one row a line: the names of the columns, captures, `[]` and the resume key.

    `[]` alone says that there is nothing. So does no body at all, as the last page of several may have.

    Raises:
        Unusable: it is something else, or has no end.
    """
    head = answer.head().strip()
    if head in {b"", b"[]"}:
        return Contents(rows=0)
    _expect(head, Format.WAYBACK_JSON)
    rows, first, blank, key, last = 0, True, False, None, b""
    for line in _lines(answer.body):
        row = line.strip().removesuffix(b",")
        last = row or last
        if first:
            first = False
        elif row == b"[]":
            blank = True
        elif blank:
            key = _resume_key(row)
        elif row not in {b"", b"]"}:
            rows += 1
    if not (last.endswith(b"]]") or last == b"]"):
        raise Unusable(Outcome.TRUNCATED, "its last line is not the end of the array")
    if blank and key is None:
        raise Unusable(Outcome.TRUNCATED, "the resume key that it announces is missing")
    return Contents(rows, key)


def _resume_key(row: bytes) -> str | None:
    try:
        values = json.loads(row.removesuffix(b"]]") + b"]" if row.endswith(b"]]") else row)
    except ValueError:
        return None
    return values[0] if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str) else None


def index_lines(answer: Answer) -> Contents:
    """A capture index, one capture a line: CDX, CDXJ, or an object of JSON. No body at all: there is nothing.

    Raises:
        Unusable: it is something else, or its last line has no end.
    """
    if answer.size == 0:
        return Contents(rows=0)
    _expect(answer.head(), Format.CDX, Format.WAYBACK_TEXT, Format.CDXJ, Format.COMMONCRAWL_CDXJ,
            Format.COMMONCRAWL_JSONL)  # fmt: skip
    rows, last = 0, b"\n"
    for line in _lines(answer.body):
        last = line
        rows += bool(line.strip()) and not line.startswith((b" CDX ", b"CDX ", b"!"))
    if not last.endswith(b"\n"):
        raise Unusable(Outcome.TRUNCATED, "its last line has no end")
    return Contents(rows)


def timemap(answer: Answer) -> Contents:
    """A TimeMap: links, MemGator's object, or Wayback's array. Of links, `document` lists those to further pages.

    Raises:
        Unusable: it is something else, or has no end.
    """
    head = answer.head()
    if head.strip()[:1] == b"[" or not head.strip():
        return wayback_json(answer)
    if detect(head).format is Format.LINKS:
        return _links(answer)
    _expect(head, Format.MEMENTOS)
    found = document(answer)
    listed = found.get("mementos") if isinstance(found, dict) else None
    mementos = listed.get("list") if isinstance(listed, dict) else None
    if not isinstance(mementos, list):
        raise Unusable(Outcome.MALFORMED, "its JSON has no list of mementos")
    return Contents(len(mementos))


def _links(answer: Answer) -> Contents:
    rows, pages, last = 0, list[str](), b""
    for line in _lines(answer.body):
        last = line.strip() or last
        link = link_of(text_of(line))
        if link is None:
            rows += bool(line.strip())
            continue
        rows += "memento" in link.relations
        # Pages say from when they are; the same TimeMap in other formats does not.
        if "timemap" in link.relations and "self" not in link.relations and "from" in link.attributes:
            pages.append(link.target)
    if link_of(text_of(last)) is None:
        raise Unusable(Outcome.TRUNCATED, "its last line is no whole link")
    return Contents(rows, document=pages)


def document(answer: Answer) -> object:
    """A body that is one JSON document.

    Raises:
        Unusable: it is none, or has no end.
    """
    answer.body.seek(0)
    try:
        return json.loads(answer.body.read())
    except (ValueError, RecursionError) as error:
        raise Unusable(Outcome.MALFORMED, f"it is no whole JSON document: {error}") from None


def _expect(head: bytes, *formats: Format) -> None:
    found = detect(head)
    if found.format not in formats:
        raise Unusable(Outcome.MALFORMED, found.why or f"it is {found.format}")


def _lines(body: BinaryIO) -> Iterator[bytes]:
    """Its lines; of a very long one the beginning and the end, so that memory stays bounded."""
    body.seek(0)
    while line := body.readline(_LOOKED_AT):
        start = line
        while line and not line.endswith(b"\n"):
            line = body.readline(_LOOKED_AT)
            start = start[:_LOOKED_AT] + line
        yield start
