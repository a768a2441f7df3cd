"""Where sessions are asked for: which archive, and the session that is begun or found. Nothing is collected here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from psycopg import Connection

from chronolake.clock import Clock, SystemClock
from chronolake.errors import ArchiveQueryInvalid, SessionEnded, SourceUnavailable
from chronolake.ingest.incremental import plan
from chronolake.oltp import Database, projects, sessions
from chronolake.settings import ArchiveSettings, Settings
from chronolake.sources.catalogue import Archive, Kind, archive, held_back_s
from chronolake.sources.query import Match, Query
from chronolake.sources.router import Choice, Policy, choose
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)

#: Sources that a project's policy may choose, each by its kind.
_ROUTED = {Kind.WAYBACK.value: Kind.WAYBACK, Kind.COMMONCRAWL.value: Kind.COMMONCRAWL}


class Source(StrEnum):
    """What people name: a policy of the project, or an archive with an address of its own."""

    WAYBACK = "wayback"
    COMMONCRAWL = "commoncrawl"
    HYBRID = "hybrid"
    COMMONCRAWL_COLUMNAR = "commoncrawl-columnar"
    CDX_SERVER = "cdx-server"
    TIMEMAP = "timemap"


@dataclass(frozen=True)
class CollectRequest:
    """What to collect, into the project of that name.

    With `archive`, from that one. Otherwise the project's policy chooses: `policy`, which it then keeps, or the
    one that it keeps. With `since_last`, only what is newer than all that came of sessions which asked the same, and
    what those of them that did not end were to bring.
    """

    project: str
    query: Query
    archive: Archive | None = None
    policy: Policy | None = None
    since_last: bool = False


def request_of(
    settings: ArchiveSettings,
    *,
    project: str,
    domain: str,
    source: Source | None = None,
    url: str | None = None,
    match: Match = Match.DOMAIN,
    start: str | None = None,
    end: str | None = None,
    filters: tuple[str, ...] = (),
    collapse: str | None = None,
    since_last: bool = False,
) -> CollectRequest:
    """What people ask for, read; `url` is the address of one archive, `start` and `end` are times of 4 to 14 digits.

    Raises:
        ArchiveQueryInvalid: it cannot be read, or no archive can be asked so.
    """
    if any("\x00" in text for text in (project, domain, url or "", collapse or "", *filters)):
        raise ArchiveQueryInvalid("a text with a NUL in it names nothing")
    policy = next((policy for policy in Policy if source is not None and policy.value == source.value), None)
    asked: Archive | None = None
    if source in {None, Source.HYBRID}:
        if url is not None:
            hint = "Name the source, too: wayback, commoncrawl, commoncrawl-columnar, cdx-server or timemap."
            raise ArchiveQueryInvalid("an address is one archive's, and none is named", hint=hint)
    elif url is not None or policy is None:
        asked = archive(Kind(source), url, settings)
    return CollectRequest(
        project=project,
        query=Query.parse(domain, match=match, start=start, end=end, filters=filters, collapse=collapse),
        archive=asked,
        policy=policy if url is None else None,
        since_last=since_last,
    )


class CollectDesk:
    """Chooses archives and begins sessions."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock | None = None) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock or SystemClock()

    def begin(
        self, request: CollectRequest, failed: Mapping[str, str] | None = None
    ) -> tuple[list[int], str]:
        """Begin a session for what is asked, or find those that have not ended: which, and why that archive.

        `failed` are archives that were asked for this in vain, with what they said. Nothing is collected yet.

        Raises:
            SourceUnavailable: no archive may be asked now.
            SessionEnded: what would go on is paused.
        """
        with self._database.connection() as conn:
            project_id = projects.ensure(conn, request.project)
            policy = Policy(projects.archive_policy(conn, project_id, request.policy))
        if request.archive is not None:
            return self.sessions_of(request, project_id, request.archive), "it was named"
        chosen = self.choose(policy, failed or {})
        if chosen is None:
            raise SourceUnavailable("every archive of the project was asked, and failed")
        asked, reason = chosen
        return self.sessions_of(request, project_id, asked), reason

    def choose(self, policy: Policy, failed: Mapping[str, str]) -> tuple[Archive, str] | None:
        """The archive to ask next, and why; null where all of them were asked and failed.

        Raises:
            SourceUnavailable: none was asked, and none may be now.
        """
        archives = self._archives()
        choice = self._choice(policy, failed, archives)
        _log.info("archive.routed", source=choice.source, policy=policy.value, reason=choice.reason)
        if choice.source is not None:
            return archives[choice.source], choice.reason
        if not failed:
            raise SourceUnavailable(f"no archive may be asked now: {choice.reason}")
        return None

    def has_another(self, policy: Policy, failed: Iterable[str]) -> bool:
        """Whether there is an archive to ask beside those."""
        return self._choice(policy, dict.fromkeys(failed, ""), self._archives()).source is not None

    def _archives(self) -> dict[str, Archive]:
        return {name: archive(kind, None, self._settings.archives) for name, kind in _ROUTED.items()}

    def _choice(self, policy: Policy, failed: Mapping[str, str], archives: Mapping[str, Archive]) -> Choice:
        now = self._clock.now().timestamp()
        # Where there is no other to go to, whoever asks finds the breaker open, and that is kept as an attempt.
        held = (
            {name: held_back_s(asked, self._settings, now) for name, asked in archives.items()}
            if policy is Policy.HYBRID
            else {}
        )
        return choose(policy, self._settings.archives.order.split(","), failed, held)

    def sessions_of(self, request: CollectRequest, project_id: int, asked: Archive) -> list[int]:
        """The sessions to run for what is asked of that archive, in this order: such as did not end, or a new one.

        Raises:
            SessionEnded: what would go on is paused.
        """
        with self._database.connection() as conn:
            if not request.since_last:
                return [self._session_of(conn, request, request.query, project_id, asked)]
            document = request.query.document()
            scope: dict[str, Any] = {
                "project_id": project_id,
                "archive": archive_document(asked),
                "scope": {name: value for name, value in document.items() if name not in {"start", "end"}},
            }
            unended = sessions.unended(conn, **scope)
            overlap = timedelta(seconds=self._settings.archives.overlap_s)
            found = plan(request.query, unended, sessions.reach(conn, **scope), overlap)
            ids = list(found.resume)
            if found.begin is not None:
                ids.append(self._session_of(conn, request, found.begin, project_id, asked))
        if not ids:
            left_alone = ", ".join(str(session.session_id) for session in unended)
            raise SessionEnded(
                f"what is to be collected is left to sessions that do not run ({left_alone}), or lies in the past",
                hint="Resume it: chronolake sessions resume ID",
            )
        return ids

    def _session_of(
        self, conn: Connection, request: CollectRequest, query: Query, project_id: int, asked: Archive
    ) -> int:
        """The newest session that asks the same of that archive and can still end, else a new one."""
        what = {"archive": archive_document(asked), "query": query.document()}
        session_id = sessions.unfinished(conn, project_id=project_id, **what)
        if session_id is None:
            session_id = sessions.begin(
                conn,
                project_id=project_id,
                archive_source=asked.archive_source,
                domain=request.query.host,
                **what,
            )
        return session_id


def archive_document(asked: Archive) -> dict[str, Any]:
    """The archive as JSON, as its sessions keep it."""
    return {"kind": asked.kind.value, "base": asked.base}
