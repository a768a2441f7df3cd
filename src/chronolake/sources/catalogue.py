"""Which archives can be asked, by the word that names each on the command line."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from chronolake.clock import Clock
from chronolake.errors import ArchiveQueryInvalid
from chronolake.settings import ArchiveSettings, Settings
from chronolake.sources import cdx_server, columnar, commoncrawl, pace, timemap, wayback
from chronolake.sources.archive_source import ArchiveSource
from chronolake.sources.asking import Asker
from chronolake.sources.attempt import Recorder
from chronolake.sources.turn import file_of, look


class Kind(StrEnum):
    """How an archive is asked."""

    WAYBACK = "wayback"  #: the Wayback CDX API
    COMMONCRAWL = "commoncrawl"  #: Common Crawl's index API
    COMMONCRAWL_COLUMNAR = "commoncrawl-columnar"  #: Common Crawl's columnar index: Parquet, read by ranges
    CDX_SERVER = "cdx-server"  #: pywb or OutbackCDX
    TIMEMAP = "timemap"  #: Memento TimeMaps


#: Archives that have a name; the others bear that of their host. Common Crawl is one, whichever way it is asked.
_NAMED = {
    Kind.WAYBACK: "wayback",
    Kind.COMMONCRAWL: "commoncrawl",
    Kind.COMMONCRAWL_COLUMNAR: "commoncrawl",
}
_PER_MINUTE = {
    Kind.WAYBACK: wayback.PER_MINUTE,
    Kind.COMMONCRAWL: commoncrawl.PER_MINUTE,
    Kind.COMMONCRAWL_COLUMNAR: columnar.PER_MINUTE,
    Kind.CDX_SERVER: cdx_server.PER_MINUTE,
    Kind.TIMEMAP: timemap.PER_MINUTE,
}
#: Hosts whose limit is known: there the setting makes us slower only. Elsewhere whoever runs the server knows best.
_PUBLIC = {"web.archive.org", "index.commoncrawl.org", "data.commoncrawl.org"}
_NO_LIMIT = 60_000.0


@dataclass(frozen=True)
class Archive:
    """One archive: how it is asked, and where; made by `archive`."""

    kind: Kind
    base: str

    @property
    def host(self) -> str:
        """Its host, with the port where one is named."""
        return urlsplit(self.base).netloc

    @property
    def archive_source(self) -> str:
        """The name under which its captures are stored."""
        return _NAMED.get(self.kind) or urlsplit(self.base).hostname or ""


def archive(kind: Kind, base: str | None, settings: ArchiveSettings) -> Archive:
    """The archive of that kind at `base`, null for the one that the settings name.

    Raises:
        ArchiveQueryInvalid: they name none, or the address cannot be used.
    """
    base = base or _address(kind, settings)
    if base is None:
        raise ArchiveQueryInvalid(f"a {kind} has an address of its own", hint="Name it: --url https://...")
    try:
        parts = urlsplit(base)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "s3":
        hint = "Common Crawl's files lie at https://data.commoncrawl.org, too."
        raise ArchiveQueryInvalid("archives are asked by HTTP, and not by S3", hint=hint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        hint = "Write https://host/path, without user, password and question mark."
        raise ArchiveQueryInvalid("the address of the archive cannot be used", hint=hint)
    return Archive(kind, base)


def _address(kind: Kind, settings: ArchiveSettings) -> str | None:
    """Where the settings say that archives of that kind are; null where each has an address of its own."""
    return {
        Kind.WAYBACK: settings.wayback_url,
        Kind.COMMONCRAWL: settings.commoncrawl_url,
        Kind.COMMONCRAWL_COLUMNAR: settings.commoncrawl_data_url,
    }.get(kind)


def states_folder(settings: Settings) -> Path:
    """Where the states of archive hosts are kept."""
    return settings.home.root / "archives"


def held_back_s(asked: Archive, settings: Settings, now: float) -> float:
    """Seconds for which the archive is left alone; 0 where it may be asked, if after a short pause."""
    state = look(file_of(states_folder(settings), asked.host))
    pause_s = pace.wait_s(state.next_at, now, 0)
    return max(0.0, state.breaker.until - now, pause_s if pause_s > pace.LONGEST_PAUSE_S else 0.0)


def asker_of(asked: Archive, settings: Settings, recorder: Recorder, clock: Clock) -> Asker:
    """Who asks that archive, with its manners."""
    return asker_at(
        asked.base,
        archive_source=asked.archive_source,
        per_minute=_PER_MINUTE[asked.kind],
        settings=settings,
        recorder=recorder,
        clock=clock,
    )


def asker_at(
    base: str,
    *,
    archive_source: str,
    per_minute: float,
    settings: Settings,
    recorder: Recorder,
    clock: Clock,
) -> Asker:
    """Who asks the host of `base`, `per_minute` at most where the setting does not say otherwise."""
    if settings.archives.per_minute is not None and urlsplit(base).hostname not in _PUBLIC:
        per_minute = _NO_LIMIT
    return Asker(
        archive_source=archive_source,
        limit_per_minute=per_minute,
        settings=settings.archives,
        folder=states_folder(settings),
        recorder=recorder,
        clock=clock,
    )


def source_of(asked: Archive, asker: Asker, settings: Settings) -> ArchiveSource:
    """The archive, to be asked by `asker`."""
    match asked.kind:
        case Kind.WAYBACK:
            # A page is one transaction, so that where it ends and what is stored can never differ.
            rows = min(settings.archives.page_rows, settings.ingest.batch_rows)
            return wayback.Wayback(asker=asker, base=asked.base, page_rows=rows)
        case Kind.COMMONCRAWL:
            return commoncrawl.CommonCrawl(asker=asker, base=asked.base)
        case Kind.COMMONCRAWL_COLUMNAR:
            return columnar.CommonCrawlColumnar(
                asker=asker,
                base=asked.base,
                crawls_base=settings.archives.commoncrawl_url,
                subsets=settings.archives.commoncrawl_subsets.split(","),
                outlines=columnar.Outlines(states_folder(settings) / "outlines"),
            )
        case Kind.CDX_SERVER:
            return cdx_server.CdxServer(archive_source=asked.archive_source, asker=asker, base=asked.base)
        case Kind.TIMEMAP:
            return timemap.TimeMap(archive_source=asked.archive_source, asker=asker, base=asked.base)
