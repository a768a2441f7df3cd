"""Every metric of ours, declared once with meaning and unit; docs/metrics.md is checked against this list."""

from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: What `/metrics` exposes.
REGISTRY = CollectorRegistry()
#: Seconds; from a cached look-up to the deadline of a query.
_QUERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True)
class Metric:
    """A metric's declaration, for the document."""

    name: str
    kind: str
    meaning: str
    unit: str
    labels: tuple[str, ...]


METRICS: list[Metric] = []
_Kind = TypeVar("_Kind", Counter, Gauge, Histogram)


def _declare(
    kind: type[_Kind], name: str, meaning: str, unit: str, labels: tuple[str, ...] = (), **options: object
) -> _Kind:
    METRICS.append(Metric(name, kind.__name__.lower(), meaning, unit, labels))
    return kind(name, meaning, labels, registry=REGISTRY, **options)  # type: ignore[arg-type]  # buckets


INGEST_LINES = _declare(
    Counter,
    "chronolake_ingest_lines_total",
    "Lines read by outcome: stored, duplicate, rejected.",
    "lines",
    ("outcome",),
)
LEDGER_PENDING = _declare(
    Gauge, "chronolake_ledger_pending_batches", "Batches in the ledger that the lake lacks.", "batches"
)
LAKE_LAG_SECONDS = _declare(
    Gauge,
    "chronolake_lake_lag_seconds",
    "Age of the oldest batch that the lake lacks; 0 with none, NaN where it cannot be told.",
    "seconds",
)
QUERY_SECONDS = _declare(
    Histogram,
    "chronolake_query_duration_seconds",
    "Time to answer, by question, engine and why it was chosen.",
    "seconds",
    ("question", "engine", "reason"),
    buckets=_QUERY_SECONDS,
)
QUERY_FAILURES = _declare(
    Counter,
    "chronolake_query_failures_total",
    "Questions that got no answer, by error class.",
    "questions",
    ("question", "error"),
)
QUERIES_WAITING = _declare(
    Gauge, "chronolake_queries_waiting", "Queries waiting for a free place of the engine.", "queries"
)
HTTP_SECONDS = _declare(
    Histogram,
    "chronolake_http_request_duration_seconds",
    "Time to serve, by method, route and status.",
    "seconds",
    ("method", "route", "status"),
    buckets=_QUERY_SECONDS,
)
LOOP_STEPS = _declare(
    Counter,
    "chronolake_loop_steps_total",
    "Steps of background loops by outcome: done, failed (the next one comes), ended (with it the loop).",
    "steps",
    ("loop", "outcome"),
)
SYNC_LEADING = _declare(
    Gauge, "chronolake_sync_leading", "Whether this process's sync worker leads: 1, or 0.", "bool"
)
SYNC_ROWS = _declare(
    Counter,
    "chronolake_sync_rows_total",
    "Rows that the change stream added to the lake or took from it.",
    "rows",
    ("table", "outcome"),
)
SYNC_COMMIT_SECONDS = _declare(
    Histogram,
    "chronolake_sync_commit_duration_seconds",
    "Time to bring a stretch of the change stream into the lake.",
    "seconds",
    buckets=_QUERY_SECONDS,
)
SYNC_DEAD_LETTERS = _declare(
    Counter,
    "chronolake_sync_dead_letters_total",
    "Changes that the lake could not take.",
    "changes",
    ("table",),
)
SYNC_BACKFILL_ROWS = _declare(
    Counter,
    "chronolake_sync_backfill_rows_total",
    "Rows that were copied from PostgreSQL for the lake.",
    "rows",
    ("table",),
)
SYNC_BACKFILL_PROGRESS = _declare(
    Gauge,
    "chronolake_sync_backfill_progress_ratio",
    "How much of the newest copy of a table is made, by its ranges: 0 to 1.",
    "ratio",
    ("table",),
)
