"""Where sessions are asked for: which archive, and the session that is begun or found. Nothing is collected here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chronolake.clock import Clock, SystemClock
from chronolake.errors import ArchiveQueryInvalid, SourceUnavailable
from chronolake.oltp import Database, projects, sessions
from chronolake.settings import ArchiveSettings, Settings
from chronolake.sources.catalogue import Archive, Kind, archive, held_back_s
from chronolake.sources.query import Match, Query
from chronolake.sources.router import Policy, choose
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)

#: Sources that a project's policy may choose, each by its kind.
_ROUTED = {Kind.WAYBACK.value: Kind.WAYBACK, Kind.COMMONCRAWL.value: Kind.COMMONCRAWL}


class Source(StrEnum):
    """What people name: a policy of the project, or an archive with an address of its own."""

    WAYBACK = "wayback"
    COMMONCRAWL = "commoncrawl"
    HYBRID = "hybrid"
    CDX_SERVER = "cdx-server"
    TIMEMAP = "timemap"


@dataclass(frozen=True)
class CollectRequest:
    """What to collect, into the project of that name.

    With `archive`, from that one. Otherwise the project's policy chooses: `policy`, which it then keeps, or the
    one that it keeps.
    """

    project: str
    query: Query
    archive: Archive | None = None
    policy: Policy | None = None


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
) -> CollectRequest:
    """What people ask for, read; `url` is the address of one archive, `start` and `end` are times of 4 to 14 digits.

    Raises:
        ArchiveQueryInvalid: it cannot be read, or no archive can be asked so.
    """
    policy = next((policy for policy in Policy if source is not None and policy.value == source.value), None)
    asked: Archive | None = None
    if source in {None, Source.HYBRID}:
        if url is not None:
            hint = "Name the source, too: wayback, commoncrawl, cdx-server or timemap."
            raise ArchiveQueryInvalid("an address is one archive's, and none is named", hint=hint)
    elif url is not None or policy is None:
        asked = archive(Kind(source), url, settings)
    return CollectRequest(
        project=project,
        query=Query.parse(domain, match=match, start=start, end=end, filters=filters, collapse=collapse),
        archive=asked,
        policy=policy if url is None else None,
    )


class CollectDesk:
    """Chooses archives and begins sessions."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock | None = None) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock or SystemClock()

    def begin(self, request: CollectRequest, failed: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Begin a session for what is asked, or find the one that has not come to its end; its number, and why there.

        `failed` are archives that were asked for this in vain, with what they said. Nothing is collected yet.

        Raises:
            SourceUnavailable: no archive may be asked now.
        """
        with self._database.connection() as conn:
            project_id = projects.ensure(conn, request.project)
            policy = Policy(projects.archive_policy(conn, project_id, request.policy))
        if request.archive is not None:
            return self.session_of(request, project_id, request.archive), "it was named"
        chosen = self.choose(policy, failed or {})
        if chosen is None:
            raise SourceUnavailable("every archive of the project was asked, and failed")
        asked, reason = chosen
        return self.session_of(request, project_id, asked), reason

    def choose(self, policy: Policy, failed: Mapping[str, str]) -> tuple[Archive, str] | None:
        """The archive to ask next, and why; null where all of them were asked and failed.

        Raises:
            SourceUnavailable: none was asked, and none may be now.
        """
        archives = {name: archive(kind, None, self._settings.archives) for name, kind in _ROUTED.items()}
        now = self._clock.now().timestamp()
        # Where there is no other to go to, whoever asks finds the breaker open, and that is kept as an attempt.
        held = (
            {name: held_back_s(asked, self._settings, now) for name, asked in archives.items()}
            if policy is Policy.HYBRID
            else {}
        )
        choice = choose(policy, self._settings.archives.order.split(","), failed, held)
        _log.info("archive.routed", source=choice.source, policy=policy.value, reason=choice.reason)
        if choice.source is not None:
            return archives[choice.source], choice.reason
        if not failed:
            raise SourceUnavailable(f"no archive may be asked now: {choice.reason}")
        return None

    def session_of(self, request: CollectRequest, project_id: int, asked: Archive) -> int:
        """The newest session that asks the same of that archive and can still end, else a new one."""
        what = {"archive": document(asked), "query": request.query.document()}
        with self._database.connection() as conn:
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


def document(asked: Archive) -> dict[str, Any]:
    """The archive as JSON, as its sessions keep it."""
    return {"kind": asked.kind.value, "base": asked.base}
