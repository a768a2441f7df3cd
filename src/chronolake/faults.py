"""Named points at which a test can break the process on purpose.

A point is armed by the environment, so that it reaches a child process as it would reach a real one:
`CHRONOLAKE_FAULT=ingest.after_stage` kills the process there as `kill -9` would,
`CHRONOLAKE_FAULT=lake.after_commit:error` raises `OSError` instead, and `name@3` means the third time.
Unarmed, a point costs one dictionary look-up.
"""

import os
import signal
from collections import Counter

#: Every point there is, with what has happened when it is reached.
POINTS = {
    "ingest.before_postgres": "a batch is parsed; nothing of it is stored yet",
    "ingest.after_insert": "the batch's rows are inserted, not committed; nothing is staged",
    "ingest.after_stage": "the staged file is in place; PostgreSQL has not committed",
    "ingest.before_commit": "ledger row and message are written; PostgreSQL has not committed",
    "ingest.after_postgres": "PostgreSQL has committed; the lake knows nothing",
    "collect.page_whole": "an archive's answer is whole; nothing of it is stored",
    "pages.before_store": "a batch of pages is extracted; nothing of it is stored",
    "pages.after_insert": "the batch's pages are inserted, not committed; their entities are not",
    "pages.before_commit": "everything of the batch is inserted and staged; PostgreSQL has not committed",
    "pages.after_commit": "PostgreSQL has committed the batch; the lake knows nothing",
    "schedule.queued": "a schedule's session is queued; that it ticked is not noted",
    "export.half_written": "an export's rows are written, under the name of a half one",
    "lake.files_written": "a commit's files lie in the lake's folder; its transaction knows nothing of them",
    "lake.before_commit": "the batch is in the lake's open transaction",
    "lake.after_commit": "the lake has committed; the ledger does not know",
    "compaction.before_swap": "merged files are written and in the lake's open transaction",
    "compaction.after_swap": "merged files are part of the lake",
    "lake.after_ledger": "the ledger knows; the staged file still lies there",
    "sync.backfill_range": "a range of a table's copy is staged and noted; the lake knows nothing",
}

_reached: Counter[str] = Counter()


def reach(point: str) -> None:
    """Break here if the environment arms `point`; otherwise do nothing.

    Raises:
        KeyError: `point` is not declared in `POINTS`.
        OSError: the point is armed with `:error`.
    """
    POINTS[point]
    armed = os.environ.get("CHRONOLAKE_FAULT")
    if not armed:
        return
    target, _, kind = armed.partition(":")
    name, _, count = target.partition("@")
    if name != point:
        return
    _reached[point] += 1
    if _reached[point] != int(count or 1):
        return
    if kind == "error":
        raise OSError(f"fault armed at {point}")
    os.kill(os.getpid(), signal.SIGKILL)
