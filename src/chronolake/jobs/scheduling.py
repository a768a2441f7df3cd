"""Schedules: sessions that are queued again and again, by whichever worker looks first.

A tick that nobody was there for is made up for once, not as often as it was missed. Queued twice, what a tick wants is
one session: the same that has not come to its end is gone on with.
"""

from datetime import datetime

from chronolake import faults
from chronolake.clock import Clock, SystemClock
from chronolake.errors import ChronolakeError, Retry, ScheduleUnknown
from chronolake.ingest import CollectRequest, archive_document
from chronolake.jobs.collecting import CollectQueue
from chronolake.jobs.every import first_tick, next_tick
from chronolake.oltp import Database, projects, schedules
from chronolake.oltp.schedules import Schedule
from chronolake.sources.catalogue import Archive, Kind
from chronolake.sources.query import Query
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


class Schedules:
    """Schedules that are made, listed, paused, removed, and carried out when they are due."""

    def __init__(self, *, database: Database, queue: CollectQueue, clock: Clock | None = None) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock or SystemClock()

    def add(self, request: CollectRequest, every: str) -> Schedule:
        """Collect what is asked again and again; `every` is 6h, 1d, 2w or five cron fields in UTC.

        Raises:
            ScheduleInvalid: `every` says no time.
        """
        next_at = first_tick(every, self._clock.now())
        with self._database.connection() as conn:
            project_id = projects.ensure(conn, request.project)
            projects.archive_policy(conn, project_id, request.policy)
            schedule_id = schedules.add(
                conn,
                project_id=project_id,
                archive=None if request.archive is None else archive_document(request.archive),
                query=request.query.document(),
                every=every,
                incremental=request.since_last,
                next_at=next_at,
            )
        return self.find(schedule_id)

    def listed(self) -> list[Schedule]:
        """All of them, oldest first."""
        with self._database.connection() as conn:
            return schedules.listed(conn)

    def find(self, schedule_id: int) -> Schedule:
        """The schedule of that number.

        Raises:
            ScheduleUnknown: there is none.
        """
        with self._database.connection() as conn:
            found = schedules.listed(conn, schedule_id)
        if not found:
            raise ScheduleUnknown(f"there is no schedule {schedule_id}")
        return found[0]

    def pause(self, schedule_id: int, *, paused: bool = True) -> Schedule:
        """Let a schedule rest, or go on: then what it missed is made up for once.

        Raises:
            ScheduleUnknown: there is none of that number.
        """
        with self._database.connection() as conn:
            if not schedules.pause(conn, schedule_id, paused=paused):
                raise ScheduleUnknown(f"there is no schedule {schedule_id}")
        return self.find(schedule_id)

    def remove(self, schedule_id: int) -> None:
        """Forget a schedule; its sessions stay.

        Raises:
            ScheduleUnknown: there is none of that number.
        """
        with self._database.connection() as conn:
            if not schedules.remove(conn, schedule_id):
                raise ScheduleUnknown(f"there is no schedule {schedule_id}")

    def tick(self) -> int:
        """Queue what is due; how many schedules were. Called by several at once, each is one's."""
        now = self._clock.now()
        seen: list[int] = []
        while True:
            with self._database.connection() as conn:
                schedule = schedules.due(conn, now, seen)
                if schedule is None:
                    return len(seen)
                seen.append(schedule.schedule_id)
                session_id, error = self._queued(schedule)
                faults.reach("schedule.queued")
                schedules.ticked(
                    conn,
                    schedule.schedule_id,
                    now=now,
                    next_at=_after(schedule, now, error),
                    session_id=session_id,
                    error=error,
                )

    def _queued(self, schedule: Schedule) -> tuple[int | None, ChronolakeError | None]:
        """The session that was queued, or what was in the way."""
        asked = schedule.archive
        request = CollectRequest(
            project=schedule.project,
            query=Query.of(schedule.query),
            archive=None if asked is None else Archive(Kind(asked["kind"]), asked["base"]),
            since_last=schedule.incremental,
        )
        try:
            session = self._queue.later(request, unasked=True)[-1]
        except ChronolakeError as error:
            _log.warning("schedule.in_the_way", schedule_id=schedule.schedule_id, error=error.message)
            return None, error
        return session.session_id, None


def _after(schedule: Schedule, now: datetime, error: ChronolakeError | None) -> datetime:
    """When the schedule is due next; what passes by itself is tried at the next look."""
    if error is not None and error.retry is Retry.LATER:
        return schedule.next_at
    return next_tick(schedule.every, schedule.next_at, now)
