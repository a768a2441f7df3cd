"""How often something comes again, and when next. Pure; cron's own words are a library's to read (croniter)."""

import re
from datetime import UTC, datetime, timedelta

from chronolake.errors import ScheduleInvalid

_DURATION = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CRON_FIELDS = 5


def first_tick(every: str, now: datetime) -> datetime:
    """When it is done first: at once where a duration is given, else when cron says so.

    Raises:
        ScheduleInvalid: it is neither a duration nor cron.
    """
    return now if _step(every) is not None else next_tick(every, now, now)


def next_tick(every: str, planned: datetime, now: datetime) -> datetime:
    """The first tick after `now`, of those that a tick `planned` for then is one of; missed ones are passed over.

    Raises:
        ScheduleInvalid: it is neither a duration nor cron, or cron's times never come.
    """
    step = _step(every)
    if step is not None:
        missed = max(0, (now - planned) // step)
        return planned + (missed + 1) * step
    # The library takes longer to import than most commands take to run: only who has such a schedule waits for it.
    import croniter  # noqa: PLC0415

    if len(every.split()) != _CRON_FIELDS:
        raise _invalid(every)
    try:
        # Without a zone it would count by this machine's.
        found: datetime = croniter.croniter(every, now.astimezone(UTC)).get_next(datetime)
    except (ValueError, KeyError) as error:
        raise _invalid(every) from error
    return found


def _invalid(every: str) -> ScheduleInvalid:
    hint = "Write 6h, 1d, 2w, or five cron fields: '30 4 * * 1'."
    return ScheduleInvalid(f"{every[:100]!r} says no time", hint=hint, parameter="every")


def _step(every: str) -> timedelta | None:
    """The duration that is meant, null where it is none."""
    found = _DURATION.fullmatch(every.strip())
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})
