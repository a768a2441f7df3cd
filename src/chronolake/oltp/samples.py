"""What metrics were: each process that stays open writes down the values of its own that changed.

A value stands until the next one of the same process, metric and labels. Buckets of histograms are left out: there are
many, and the count and sum of each are kept.
"""

import json
import math
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from chronolake.clock import Clock, SystemClock
from chronolake.loop import Loop
from chronolake.oltp.database import Database
from chronolake.oltp.statements import statement
from chronolake.settings import Settings

#: Samples that one statement lets go of.
FORGOTTEN_AT_ONCE = 10_000
_FORGET_EVERY = timedelta(hours=1)
_LEFT_OUT = ("_bucket", "_created")


@dataclass(frozen=True)
class Sampled:
    """What one step did: values written down, and old ones let go of."""

    written: int
    forgotten: int


class MetricSampler(Loop):
    """Writes down what the metrics of this process are, and lets go of what is older than the settings keep."""

    def __init__(
        self,
        *,
        database: Database,
        settings: Settings,
        registry: CollectorRegistry,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(interval_s=settings.log.sample_interval_s)
        self._database = database
        self._registry = registry
        self._clock = clock or SystemClock()
        self._kept = timedelta(days=settings.log.sample_days)
        self._process = f"{socket.gethostname()} {os.getpid()}"
        self._last: dict[tuple[str, str], float] = {}
        self._forget_at = self._clock.now()

    def step(self) -> Sampled:
        """Write down the values that changed since the last step.

        Raises:
            DatabaseError: PostgreSQL is out of reach; the next step writes them.
        """
        now = self._clock.now()
        values = dict(_values(self._registry))
        changed = {name: value for name, value in values.items() if self._last.get(name) != value}
        if changed:
            with self._database.connection() as conn:
                conn.execute(
                    statement("metric_samples_add"),
                    {
                        "at": _utc(now),
                        "process": self._process,
                        "metrics": [metric for metric, _ in changed],
                        "labels": [labels for _, labels in changed],
                        "values": list(changed.values()),
                    },
                )
        self._last = values
        return Sampled(len(changed), self._forgotten(now))

    def _forgotten(self, now: datetime) -> int:
        if now < self._forget_at:
            return 0
        with self._database.connection() as conn:
            gone = conn.execute(
                statement("metric_samples_forget"),
                {"before": _utc(now - self._kept), "limit": FORGOTTEN_AT_ONCE},
            ).rowcount
        # Where there is more, the next step goes on.
        self._forget_at = now if gone == FORGOTTEN_AT_ONCE else now + _FORGET_EVERY
        return gone


def _values(registry: CollectorRegistry) -> Iterator[tuple[tuple[str, str], float]]:
    """The value of each metric and its labels; unknown ones, which are NaN, have none."""
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.endswith(_LEFT_OUT) and not math.isnan(sample.value):
                # Some libraries' samples are whole numbers, and PostgreSQL is given an array of one type.
                yield (sample.name, json.dumps(sample.labels, sort_keys=True)), float(sample.value)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
