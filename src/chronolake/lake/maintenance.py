"""The loop that keeps the lake in shape while other work goes on.

What is heavy, reading and writing files, is done by a process of its own at low priority, so that neither ingest nor
answers wait for this interpreter. It is started when the catalog says that there is work, does it, and ends; killed,
it leaves files that no snapshot knows, at most, and those are removed later.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chronolake.clock import Clock, SystemClock
from chronolake.errors import LakeError
from chronolake.lake.lake import Lake
from chronolake.lake.retention import Expired
from chronolake.loop import Loop
from chronolake.settings import Settings, environment
from chronolake.telemetry import logs, metrics

#: Seconds between two looks while files keep coming: a commit a quarter of a second makes some twenty by then.
LEAST_INTERVAL_S = 5.0
#: How much lower the priority of the process that merges is: it gets what others leave.
NICE = 10
#: Listing every file of the lake is for once in a while: orphans are a day old before they go.
ORPHANS_EVERY = timedelta(hours=1)

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Maintained:
    """What one step did: what expired, and what was merged as the other process told; null where none was needed."""

    expired: Expired
    merged: Mapping[str, Any] | None


class LakeMaintenance(Loop):
    """Expires old snapshots, and has small files merged.

    It looks again after LEAST_INTERVAL_S while there is work, and ever more seldom while there is none, up to
    DATA_SYNC_INTERVAL.
    """

    def __init__(self, *, lake: Lake, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(interval_s=min(LEAST_INTERVAL_S, settings.sync.interval_s))
        self._longest_s = settings.sync.interval_s
        self._clock = clock or SystemClock()
        self._lake = lake
        self._compactor = lake.compactor()
        self._retention = lake.retention(self._clock)
        self._environment = os.environ | environment(settings)
        self._child: subprocess.Popen[str] | None = None
        self._orphans_at = self._clock.now()

    def step(self) -> Maintained:
        """Expire what is old, merge what is small.

        Raises:
            LakeError: the catalog was lost, or the files could not be merged.
        """
        expired = self._expire()
        merged = self._merge() if self._compactor.pending() else None
        least_s = min(LEAST_INTERVAL_S, self._longest_s)
        self.interval_s = least_s if merged else min(2 * self.interval_s, self._longest_s)
        sizes = self._lake.file_counts()
        for table, files in sizes.files.items():
            metrics.LAKE_FILES.labels(table=table).set(files)
        metrics.LAKE_SNAPSHOTS.set(sizes.snapshots)
        return Maintained(expired, merged)

    def stop(self) -> None:
        """End a merge that runs, and return when the step has ended. Calling it twice is safe."""
        self._stopped.set()
        child = self._child
        if child is not None and child.poll() is None:
            # As Ctrl-C: it removes the files that it was writing.
            child.send_signal(signal.SIGINT)
        super().stop()

    def _expire(self) -> Expired:
        expired = self._retention.expire()
        metrics.LAKE_EXPIRED_SNAPSHOTS.inc(expired.snapshots)
        metrics.LAKE_REMOVED_FILES.inc(expired.removed_files)
        if self._clock.now() < self._orphans_at:
            return expired
        self._orphans_at = self._clock.now() + ORPHANS_EVERY
        orphans = self._retention.remove_orphans()
        metrics.LAKE_REMOVED_FILES.inc(orphans.orphans)
        return Expired(**{**expired.document(), "orphans": orphans.orphans})

    def _merge(self) -> Mapping[str, Any] | None:
        """Let another process merge what there is, and count what it tells."""
        command = [
            sys.executable,
            "-m",
            "chronolake",
            "lake",
            "compact",
            "--once",
            "--json",
            "--nice",
            str(NICE),
        ]
        with subprocess.Popen(  # noqa: S603  # this program itself
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as child:
            self._child = child
            told, _ = child.communicate()
        self._child = None
        if self._stopped.is_set():
            return None
        document = _document(told)
        if child.returncode != 0 or document is None:
            metrics.COMPACTION_FAILURES.inc()
            error = (document or {}).get("error", {})
            raise LakeError(
                f"files were not merged: {error.get('message', f'the process ended with {child.returncode}')}",
                hint="Run it by hand: chronolake lake compact --once",
            )
        metrics.COMPACTION_FILES.inc(document["files_in"])
        metrics.COMPACTION_BYTES.inc(document["bytes_out"])
        metrics.COMPACTION_SECONDS.inc(document["seconds"])
        _log.info("lake.compacted", **document)
        return document


def _document(told: str) -> dict[str, Any] | None:
    try:
        found = json.loads(told)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
