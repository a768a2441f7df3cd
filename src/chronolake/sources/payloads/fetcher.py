"""Which way leads to a capture's payload, and what it means where none does.

Files on this machine come first, for they cost nobody anything; then the archive that the capture was collected from.
An archive that is to be left alone is not asked again by this run, and the others go on.
"""

from dataclasses import dataclass, field
from typing import Protocol

from chronolake.capture.attempt import Outcome
from chronolake.capture.candidate import Candidate
from chronolake.clock import Clock
from chronolake.errors import (
    ArchiveQueryInvalid,
    CollectStopped,
    SourceBlocked,
    SourceError,
    SourceHeldBack,
    SourceRefused,
    SourceUnavailable,
)
from chronolake.settings import ArchiveSettings, Settings
from chronolake.sources.asking import Asker
from chronolake.sources.attempt import Recorder
from chronolake.sources.catalogue import Kind, archive, asker_at
from chronolake.sources.payloads import ranges, replay
from chronolake.sources.payloads.files import WarcFiles
from chronolake.sources.payloads.kept import Fetched, Kept, NotFetched, Unfetched, fetched
from chronolake.sources.payloads.ranges import WarcRanges
from chronolake.sources.payloads.replay import Replay

#: Times in a row that an archive says "not for you" until it is taken to mean us and not the page: as many as it may
#: fail until it is left alone.
BLOCKED_IN_A_ROW = 6
_BY_OUTCOME = {Outcome.NOT_FOUND.value: Unfetched.NOT_HELD}


class PayloadWay(Protocol):
    """A way to payloads. All give the same payload for the same record."""

    def knows(self, candidate: Candidate) -> bool:
        """Whether the capture says what this way needs to know."""
        ...

    def get(self, candidate: Candidate) -> Kept:
        """What was kept of the capture's answer.

        Raises:
            NotFetched: it is not there, cannot be read, or is of another capture.
            SourceError: the archive did not give it, in spite of several tries.
        """
        ...


@dataclass
class _Archive:
    """One archive that is asked, and how it goes."""

    way: WarcRanges | Replay
    blocked: int = 0
    left_alone: SourceError | None = None


@dataclass
class PayloadFetcher:
    """Fetches payloads, one after the other; `stop` may be called from any thread. Made by `fetcher_of`."""

    files: WarcFiles | None
    archives: dict[str, _Archive]
    #: the archive that captures of any other source are replayed by; null where none is named
    others: _Archive | None
    most_bytes: int
    #: why archives were left alone, the first first
    failures: list[SourceError] = field(default_factory=list)
    stopping: bool = False

    def fetch(self, candidate: Candidate) -> Fetched:
        """The capture's payload.

        Raises:
            NotFetched: there is none, and why.
            CollectStopped: `stop` was called.
        """
        if self.stopping:
            raise CollectStopped("fetching payloads was stopped")
        return fetched(candidate, self._kept(candidate), self.most_bytes)

    def stop(self) -> None:
        """End the request that is under way, and ask no more."""
        self.stopping = True
        for asked in self._all():
            asked.way.asker.stop()

    def _all(self) -> list[_Archive]:
        return [*self.archives.values(), *([self.others] if self.others else [])]

    def _kept(self, candidate: Candidate) -> Kept:
        if self.files is not None and self.files.knows(candidate):
            return self.files.get(candidate)
        asked = self.archives.get(_source(candidate), self.others)
        if asked is None or not asked.way.knows(candidate):
            raise NotFetched(Unfetched.NO_WAY, "no file that was named holds it, and no archive replays it")
        if asked.left_alone is not None:
            raise NotFetched(Unfetched.HELD_BACK, asked.left_alone.message)
        try:
            kept = asked.way.get(candidate)
        except SourceHeldBack as error:
            self._leave_alone(asked, error)
            raise NotFetched(Unfetched.HELD_BACK, error.message) from error
        except SourceBlocked as error:
            asked.blocked += 1
            if asked.blocked >= BLOCKED_IN_A_ROW:
                self._leave_alone(asked, error)
            raise NotFetched(Unfetched.BLOCKED, error.message) from error
        except SourceUnavailable as error:
            raise NotFetched(Unfetched.UNAVAILABLE, error.message) from error
        except SourceRefused as error:
            asked.blocked = 0
            reason = _BY_OUTCOME.get(str(error.facts.get("outcome")), Unfetched.REFUSED)
            raise NotFetched(reason, error.message) from error
        except ArchiveQueryInvalid as error:
            raise NotFetched(Unfetched.REFUSED, error.message) from error
        asked.blocked = 0
        return kept

    def _leave_alone(self, asked: _Archive, error: SourceError) -> None:
        asked.left_alone = error
        self.failures.append(error)


def _source(candidate: Candidate) -> str:
    """The archive that has the capture: an index of Common Crawl that was read as a file is Common Crawl's, too."""
    return Kind.COMMONCRAWL.value if candidate.crawl is not None else candidate.archive_source


def fetcher_of(
    settings: Settings,
    *,
    files: WarcFiles | None,
    replay_base: str | None,
    recorder: Recorder,
    clock: Clock,
) -> PayloadFetcher:
    """A fetcher that knows Common Crawl and the Wayback Machine, `files`, and the raw replay at `replay_base`."""
    most = settings.extract.max_bytes

    def asker(base: str, source: str, per_minute: float) -> Asker:
        return asker_at(
            base,
            archive_source=source,
            per_minute=per_minute,
            settings=settings,
            recorder=recorder,
            clock=clock,
        )

    crawled = settings.archives.commoncrawl_data_url
    wayback = settings.payloads.wayback_url
    by_range = asker(crawled, Kind.COMMONCRAWL.value, ranges.PER_MINUTE)
    by_replay = asker(wayback, Kind.WAYBACK.value, replay.WAYBACK_PER_MINUTE)
    others = None
    if replay_base is not None:
        named = asker(replay_base, _host(replay_base, settings.archives), replay.PER_MINUTE)
        others = _Archive(Replay(asker=named, base=replay_base, most_bytes=most))
    return PayloadFetcher(
        files=files,
        archives={
            Kind.COMMONCRAWL.value: _Archive(WarcRanges(asker=by_range, base=crawled, most_bytes=most)),
            Kind.WAYBACK.value: _Archive(Replay(asker=by_replay, base=wayback, most_bytes=most)),
        },
        others=others,
        most_bytes=most,
    )


def _host(base: str, settings: ArchiveSettings) -> str:
    """The host that an address names, as captures of such a server are stored under.

    Raises:
        ArchiveQueryInvalid: the address cannot be used.
    """
    return archive(Kind.CDX_SERVER, base, settings).archive_source
