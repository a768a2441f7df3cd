"""Payloads by range requests for single WARC records, as Common Crawl serves its files: filename, offset, length."""

import re
from io import BytesIO

from chronolake.capture.attempt import Outcome
from chronolake.capture.candidate import Candidate
from chronolake.errors import InputUnreadable
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker
from chronolake.sources.local.archive import HTTP_BYTES
from chronolake.sources.local.record import read_record
from chronolake.sources.payloads.kept import Kept, NotFetched, Unfetched, kept_of
from chronolake.sources.spool import AsSent

#: Two a second, one after the other: its operators name no number, and block who asks in parallel.
PER_MINUTE = 120.0
_TOLD = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/")


class WarcRanges:
    """The WARC files below `base`, each under the name that captures give it."""

    def __init__(self, *, asker: Asker, base: str, most_bytes: int) -> None:
        self.asker = asker
        self._base = base.rstrip("/")
        self._most_bytes = most_bytes

    def knows(self, candidate: Candidate) -> bool:
        """Whether the capture says which bytes of which file its record is."""
        return None not in (
            candidate.warc_filename,
            candidate.warc_record_offset,
            candidate.content_length,
        ) and bool(candidate.content_length)

    def get(self, candidate: Candidate) -> Kept:
        """See `PayloadWay`."""
        offset, length = candidate.warc_record_offset or 0, candidate.content_length or 0
        # Of a large record no more than can be used; a body is never larger than what is around it.
        wanted = min(length, self._most_bytes + HTTP_BYTES)
        url = f"{self._base}/{candidate.warc_filename}"
        ranged = {"Range": f"bytes={offset}-{offset + wanted - 1}"}
        with self.asker.ask(url, _Ranged(offset), AsSent(wanted, ranged)) as received:
            data = received.answer.body.read()
        try:
            record = read_record(BytesIO(data), url, self._most_bytes)
        except InputUnreadable as error:
            raise NotFetched(Unfetched.UNREADABLE, error.message) from error
        if record.damage is not None and wanted == length:
            why = f"the bytes that the capture names hold no whole record: {record.damage}"
            raise NotFetched(Unfetched.UNREADABLE, why)
        return kept_of(record, candidate)


class _Ranged:
    """Looks over an answer to a range request."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __call__(self, answer: Answer) -> Contents | None:
        if answer.status == 200:
            raise Unusable(Outcome.MALFORMED, "it is the whole file, where a range was asked for")
        if answer.status != 206:
            return None
        told = answer.headers.get("Content-Range", "")
        match = _TOLD.match(told)
        if match is None or int(match[1]) != self._offset:
            raise Unusable(Outcome.MALFORMED, f"it is another range: {told}")
        if not answer.cut and answer.size != int(match[2]) + 1 - self._offset:
            raise Unusable(Outcome.TRUNCATED, "it is shorter than the range that it says it is")
        return Contents(rows=1)
