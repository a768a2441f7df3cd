"""From what an archive kept of an answer to the payload of a capture. Pure: the ways here only bring the bytes.

A digest is the archive's own word of what it kept. Tools compute it over different bytes (chunks undone or not, content
coding undone or not), so a payload is taken for the capture's where any of them has it; else the difference is told.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chronolake.capture import surt
from chronolake.capture.candidate import Candidate
from chronolake.capture.payload import Payload
from chronolake.sources.local.archive import charset_of, plain_mime
from chronolake.sources.local.record import Record
from chronolake.sources.payloads.coding import dechunked, undo

#: Algorithms that a digest is compared by; of others it is believed.
_COMPARED = frozenset({"sha1", "sha256", "md5"})
_BODIES = frozenset({"response", "resource"})


class Unfetched(StrEnum):
    """Why there is no payload of a capture. The words stand in PostgreSQL, so they never change."""

    NO_WAY = "no_way"  #: nobody knows where it lies, or the file is not among those given
    HELD_BACK = (
        "held_back"  #: the archive failed too often, or asks for a long pause; the run goes on without it
    )
    UNAVAILABLE = "unavailable"  #: the archive gave no whole answer, in spite of several tries
    NOT_HELD = "not_held"  #: the archive does not hold it
    BLOCKED = "blocked"  #: not for us
    REFUSED = "refused"  #: the archive will not answer this
    UNREADABLE = "unreadable"  #: no record, or none that can be read, where the capture says
    OTHER_RECORD = "other_record"  #: the record there is of another URL, or holds no body
    DIGEST = "digest"  #: the payload's digest is not the capture's


#: What another run may find otherwise, with nothing changed; no decision is kept of it.
PASSING = frozenset({Unfetched.NO_WAY, Unfetched.HELD_BACK, Unfetched.UNAVAILABLE})


class NotFetched(Exception):
    """There is no payload, and why."""

    def __init__(self, reason: Unfetched, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why


@dataclass(frozen=True)
class Kept:
    """An answer as an archive kept it: its HTTP header fields by names in small letters, and its body as it was sent.

    `cut`: the body goes on beyond what was taken; `damage`: what is wrong with its end.
    """

    fields: Mapping[str, str]
    body: bytes
    cut: bool = False
    damage: str | None = None
    #: the archive says itself that it kept only a part
    truncated: bool = False


@dataclass(frozen=True)
class Fetched:
    """A payload. `cut`: it is larger than was allowed, and the rest is missing.

    `differs` says how its digest differs from the capture's; null where it does not, or where nobody can tell.
    """

    payload: Payload
    cut: bool
    differs: str | None


def kept_of(record: Record, candidate: Candidate) -> Kept:
    """What a record of a WARC or ARC file holds of the capture's answer.

    Raises:
        NotFetched: it is of another URL, or holds no body.
    """
    if record.record_type not in _BODIES:
        raise NotFetched(
            Unfetched.OTHER_RECORD, f"the record there is a {record.record_type or 'nameless one'}"
        )
    if record.url != candidate.url and surt.key(record.url) != candidate.url_key:
        raise NotFetched(Unfetched.OTHER_RECORD, "the record there is of another URL")
    return Kept(
        fields=record.http
        if record.http is not None
        else {"content-type": record.fields.get("content-type", "")},
        body=record.body,
        cut=record.cut,
        damage=record.damage,
        truncated="warc-truncated" in record.fields,
    )


def fetched(candidate: Candidate, kept: Kept, most_bytes: int) -> Fetched:
    """The capture's payload, with at most `most_bytes` of it."""
    chunked = "chunked" in kept.fields.get("transfer-encoding", "").lower()
    plain = dechunked(kept.body) if chunked else None
    sent = kept.body if plain is None else plain.body
    undone = undo(sent, kept.fields.get("content-encoding", ""), most_bytes)
    cut = kept.cut or undone.cut
    damage = kept.damage or (plain and plain.damage) or undone.damage or _shorter(kept, chunked=chunked)
    truncated = kept.truncated or candidate.truncated is not None or damage is not None
    mime = kept.fields.get("content-type")
    payload = Payload(
        capture_id=candidate.id,
        url=candidate.url,
        captured_at=candidate.timestamp,
        body=undone.body,
        mime_sent=plain_mime(mime),
        charset_sent=charset_of(mime),
        truncated=truncated,
    )
    # Of a part there is nothing to compare.
    whole = not (cut or kept.truncated or kept.damage or candidate.truncated is not None)
    differs = _difference(candidate, (sent, kept.body, undone.body)) if whole else None
    return Fetched(payload, cut, differs)


def _shorter(kept: Kept, *, chunked: bool) -> str | None:
    """What the header's length says of the body's end."""
    told = kept.fields.get("content-length", "")
    if chunked or kept.cut or not told.isdecimal() or len(kept.body) >= int(told[:18]):
        return None
    return "the body is shorter than its header says"


def _difference(candidate: Candidate, bodies: tuple[bytes, ...]) -> str | None:
    algorithm = candidate.digest_algorithm
    if candidate.digest is None or algorithm not in _COMPARED:
        return None
    digests = [digest_of(algorithm, body) for body in dict.fromkeys(bodies)]
    if candidate.digest in digests:
        return None
    return f"the digest of the payload is {digests[0]}, not {candidate.digest}"


def digest_of(algorithm: str, body: bytes) -> str:
    """The digest of a body, as `capture/digest.py` spells digests."""
    content = hashlib.new(algorithm, body, usedforsecurity=False).digest()
    return base64.b32encode(content).decode() if algorithm == "sha1" else content.hex()
