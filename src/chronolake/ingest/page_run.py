"""One run from captures to pages: pick, filter, fetch, extract, store, with one answer for each capture.

One thread picks, filters, fetches and stores, and the pool's processes read. A payload is fetched when a process is
free for it, so memory holds a batch of pages and a payload for each process, however many captures there are.
"""

from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from uuid import UUID

from chronolake.capture.candidate import Candidate
from chronolake.capture.payload import Payload
from chronolake.clock import Clock
from chronolake.errors import CollectStopped
from chronolake.extract import ExtractedPage, Failure, FailureKind
from chronolake.extract.pool import ExtractorPool
from chronolake.ingest.filters import FilterReason, Known, decide
from chronolake.ingest.page_rows import Decision, Extracted
from chronolake.ingest.page_store import PageBatch, PageStore
from chronolake.oltp import Database, pages
from chronolake.oltp.pages import Pick
from chronolake.settings import Settings
from chronolake.sources.payloads import PASSING, Fetched, NotFetched, PayloadFetcher, Unfetched
from chronolake.telemetry import metrics

#: Captures that are picked at once, and of these how many are looked at together: what is known of others must not
#: be old, and an archive may take minutes for them.
_PICKED_ROWS = 500
_SLICE_ROWS = 50
#: Seconds after which what there is gets stored, however little: an archive may give a page in three seconds.
_LONGEST_S = 20.0
#: Bytes of text likewise, as a bound on memory.
_MOST_TEXT = 64 << 20
#: The decisions that somebody may override.
OVERRIDABLE = tuple(
    [reason.value for reason in FilterReason if reason is not FilterReason.ALREADY]
    + [reason.value for reason in Unfetched if reason not in PASSING]
)


@dataclass(frozen=True)
class ExtractRequest:
    """Which captures of a project become pages, and where their payloads may be found.

    `start` and `end` are inclusive, without a zone. `again`: those too that were looked at before. `included` are
    reasons, of filters and of payloads that were not fetched, that count for nothing.
    """

    project: str
    domain: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    archive_source: str | None = None
    limit: int | None = None
    files: tuple[str, ...] = ()
    replay: str | None = None
    again: bool = False
    included: AbstractSet[str] = frozenset()


@dataclass
class ExtractCounts:
    """The account of a run: at its end `considered = extracted + failed + filtered + not_fetched`."""

    considered: int = 0
    extracted: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    not_fetched: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Begun:
    """A capture whose payload is being read."""

    candidate: Candidate
    truncated: bool


@dataclass
class PageRun:
    """One run, on its way from capture to capture."""

    request: ExtractRequest
    what: Pick
    database: Database
    settings: Settings
    clock: Clock
    store: PageStore
    fetcher: PayloadFetcher
    counts: ExtractCounts
    on_progress: Callable[[ExtractCounts], None] | None
    batch: PageBatch = field(default_factory=PageBatch)
    #: captures whose payloads are being read
    under_way: dict[UUID, "_Begun"] = field(default_factory=dict)
    #: by digest the capture whose payload is fetched, and whose page is perhaps not stored yet
    taken: dict[str, UUID] = field(default_factory=dict)
    #: archive sources that are not picked any more, since they are left alone
    passed_over: set[str] = field(default_factory=set)
    text_size: int = 0
    stored_at: float = 0.0

    def through(self) -> None:
        """Go through all captures."""
        self.stored_at = self.clock.monotonic()
        payloads = self._payloads()
        first = next(payloads, None)
        # Where there is nothing to read no process need start.
        if first is not None:
            with ExtractorPool(self.settings.extract) as pool:
                for result in pool.extract(chain([first], payloads)):
                    self._take(result)
                    self._store_if_due()
        self._store()

    def _payloads(self) -> Iterator[Payload]:
        """The payloads of the captures that nothing decides against, as they are asked for."""
        for candidates in self._picked():
            known = self._known(candidates)
            if self.on_progress is not None:
                self.on_progress(self.counts)
            for candidate in candidates:
                self.counts.considered += 1
                try:
                    payload = self._payload(candidate, known)
                except NotFetched as error:
                    self._not_fetched(candidate, error)
                except CollectStopped:
                    # It was not looked at after all: the next run begins with it.
                    self.counts.considered -= 1
                    return
                else:
                    if payload is not None:
                        yield payload
                self._store_if_due()

    def _picked(self) -> Iterator[list[Candidate]]:
        left = self.request.limit
        after: Candidate | None = None
        while left is None or left > 0:
            rows = _PICKED_ROWS if left is None else min(left, _PICKED_ROWS)
            with self.database.connection() as conn:
                found = pages.pick(conn, self.what, after=after, passed_over=self.passed_over, rows=rows)
            if not found:
                return
            for start in range(0, len(found), _SLICE_ROWS):
                yield found[start : start + _SLICE_ROWS]
            after = found[-1]
            left = None if left is None else left - len(found)

    def _known(self, candidates: list[Candidate]) -> Known:
        """What there is to know now that decides about these captures."""
        waiting = {extracted.candidate.id for extracted in self.batch.extracted} | self.under_way.keys()
        self.taken = {digest: id_ for digest, id_ in self.taken.items() if id_ in waiting}
        digests = sorted({candidate.digest for candidate in candidates if candidate.digest})
        repeated = [candidate for candidate in candidates if candidate.record_type == "revisit"]
        project_id = self.what.project_id
        with self.database.connection() as conn:
            present = set() if self.what.again else pages.present(conn, [one.id for one in candidates])
            extracted = pages.by_digest(conn, project_id, digests) if digests else {}
            originals: Mapping[str, Candidate] = {}
            if repeated:
                originals = pages.originals(
                    conn,
                    project_id,
                    {candidate.domain for candidate in repeated},
                    sorted({candidate.digest for candidate in repeated if candidate.digest}),
                )
        return Known(
            pages=present,
            # What this run has taken since is seen, too.
            extracted=ChainMap(self.taken, extracted),
            originals=originals,
            most_bytes=self.settings.extract.max_bytes,
        )

    def _payload(self, candidate: Candidate, known: Known) -> Payload | None:
        """The capture's payload; null where something decides against it, or its failure is plain already.

        Raises:
            NotFetched: it cannot be had.
            CollectStopped: `stop` was called.
        """
        original = _original(candidate, known)
        # What is known of the payload is the original's, what is known of the page the capture's own.
        subject = replace(original, id=candidate.id, url=candidate.url, timestamp=candidate.timestamp)
        filtered, overridden = decide(subject, known, self.request.included)
        if filtered is not None:
            self._count_filtered(filtered.reason.value)
            if filtered.reason is not FilterReason.ALREADY:
                self._decide(candidate, filtered.reason.value, filtered.detail)
            return None
        fetched = self.fetcher.fetch(original)
        if fetched.differs is not None:
            if Unfetched.DIGEST.value not in self.request.included:
                raise NotFetched(Unfetched.DIGEST, fetched.differs)
            self._decide(candidate, Unfetched.DIGEST.value, fetched.differs, overridden=True)
        elif overridden is not None:
            self._decide(candidate, overridden.reason.value, overridden.detail, overridden=True)
        return self._begun(candidate, fetched)

    def _begun(self, candidate: Candidate, fetched: Fetched) -> Payload | None:
        payload = replace(
            fetched.payload,
            capture_id=candidate.id,
            url=candidate.url,
            captured_at=candidate.timestamp,
        )
        if candidate.digest is not None:
            self.taken[candidate.digest] = candidate.id
        self.under_way[candidate.id] = _Begun(candidate, payload.truncated)
        if not fetched.cut:
            return payload
        most = self.settings.extract.max_bytes
        self._take(
            Failure(candidate.id, FailureKind.TOO_LARGE, f"more than {most} bytes, of which no part is read")
        )
        return None

    def _take(self, result: ExtractedPage | Failure) -> None:
        begun = self.under_way.pop(result.capture_id)
        now = self.clock.now().replace(tzinfo=None)
        self.batch.extracted.append(Extracted(begun.candidate, result, now, begun.truncated))
        if isinstance(result, ExtractedPage):
            self.text_size += len(result.text)

    def _not_fetched(self, candidate: Candidate, error: NotFetched) -> None:
        self.counts.not_fetched[error.reason.value] += 1
        metrics.PAGES.labels(outcome="not_fetched").inc()
        if error.reason is Unfetched.HELD_BACK and not self.request.files:
            self.passed_over.add(candidate.archive_source)
        if error.reason not in PASSING:
            self._decide(candidate, error.reason.value, error.why)

    def _count_filtered(self, reason: str) -> None:
        self.counts.filtered[reason] += 1
        metrics.PAGES.labels(outcome="filtered").inc()

    def _decide(self, candidate: Candidate, reason: str, detail: str, *, overridden: bool = False) -> None:
        now = self.clock.now().replace(tzinfo=None)
        self.batch.decisions.append(Decision(candidate, reason, detail, now, overridden))

    def _store_if_due(self) -> None:
        most = self.settings.payloads.batch_pages
        full = len(self.batch.extracted) >= most or len(self.batch.decisions) >= 10 * most
        waited_s = self.clock.monotonic() - self.stored_at
        if full or self.text_size >= _MOST_TEXT or (waited_s >= _LONGEST_S and len(self.batch)):
            self._store()

    def _store(self) -> None:
        batch, self.batch, self.text_size = self.batch, PageBatch(), 0
        if len(batch):
            stored = self.store.store(batch)
            self.counts.extracted += stored.pages
            self.counts.failed.update(failure.kind.value for failure in stored.failures)
            for decision in stored.late:
                self._count_filtered(decision.reason)
            metrics.PAGES.labels(outcome="extracted").inc(stored.pages)
            metrics.PAGES.labels(outcome="failed").inc(len(stored.failures))
        self.stored_at = self.clock.monotonic()
        if self.on_progress is not None:
            self.on_progress(self.counts)


def _original(candidate: Candidate, known: Known) -> Candidate:
    """The capture that holds the payload: of a revisit another one, where that is known."""
    if candidate.record_type != "revisit":
        return candidate
    return known.originals.get(candidate.digest or "", candidate)
