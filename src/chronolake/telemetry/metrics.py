"""Every metric of ours, declared once with meaning and unit; docs/metrics.md is checked against this list."""

from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

#: What `/metrics` exposes.
REGISTRY = CollectorRegistry()
#: What the system says of this process: memory, processor, open files.
ProcessCollector(registry=REGISTRY)
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
ARCHIVE_REQUESTS = _declare(
    Counter,
    "chronolake_archive_requests_total",
    "Requests to archives by outcome, each try counted, those held back too.",
    "requests",
    ("source", "outcome"),
)
EXTRACTED = _declare(
    Counter,
    "chronolake_extract_payloads_total",
    "Payloads read, by outcome: page, or the kind of the failure.",
    "payloads",
    ("outcome",),
)
EXTRACT_SECONDS = _declare(
    Histogram,
    "chronolake_extract_duration_seconds",
    "Time from handing a payload to a worker process to its answer.",
    "seconds",
    buckets=_QUERY_SECONDS,
)
PAGES = _declare(
    Counter,
    "chronolake_pages_total",
    "Captures on their way to pages by outcome: extracted, failed, filtered, not_fetched.",
    "captures",
    ("outcome",),
)
LEDGER_PENDING = _declare(
    Gauge, "chronolake_ledger_pending_batches", "Batches in the ledger that the lake lacks.", "batches"
)
LAKE_LAG_SECONDS = _declare(
    Gauge,
    "chronolake_lake_lag_seconds",
    "Seconds ago that the lake was known to be equal to PostgreSQL; NaN where it cannot be told.",
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
QUERIES_RUNNING = _declare(
    Gauge, "chronolake_queries_running", "Queries that have a place of the engine.", "queries"
)
QUERIES_REFUSED = _declare(
    Counter,
    "chronolake_queries_refused_total",
    "Queries that found no room to wait: queue (too many wait), tenant (too many about the same projects do).",
    "queries",
    ("reason",),
)
ENGINE_BREAKER = _declare(
    Gauge,
    "chronolake_engine_breaker_state",
    "Whether an engine is asked: 0 closed (it is), 1 half open (one question tries it), 2 open (it is let alone).",
    "state",
    ("engine",),
)
ENGINE_TRIPS = _declare(
    Counter,
    "chronolake_engine_breaker_trips_total",
    "Times that an engine failed so often that it was let alone, each trial that failed counted.",
    "trips",
    ("engine",),
)
ROUTE_ERROR = _declare(
    Histogram,
    "chronolake_route_estimate_ratio",
    "What an engine took to what was estimated before.",
    "ratio",
    ("engine",),
    buckets=(0.1, 0.25, 0.5, 0.8, 1.25, 2, 4, 10),
)
SHADOWED = _declare(
    Counter,
    "chronolake_shadow_comparisons_total",
    "Answers compared in shadow mode: same, different, moving (rows changed meanwhile), behind, failed, skipped.",
    "answers",
    ("outcome",),
)
SEARCHES = _declare(
    Counter,
    "chronolake_search_history_total",
    "Questions for the search history by outcome: written, refused (by PostgreSQL), crowded_out (too many waited).",
    "questions",
    ("outcome",),
)
PLANS = _declare(
    Counter,
    "chronolake_plans_total",
    "Looks at how a question is answered by outcome: kept, failed, skipped (enough in this minute), busy (another's).",
    "plans",
    ("outcome",),
)
PLAN_REGRESSIONS = _declare(
    Gauge,
    "chronolake_plan_regressions",
    "Kinds of questions that are answered in a new way, clearly slower; counted once a minute while plans come.",
    "questions",
)
CACHE_LOOKUPS = _declare(
    Counter,
    "chronolake_cache_lookups_total",
    "Look-ups in the result cache by outcome: memory, redis, miss, lagging (an older answer, which was allowed).",
    "answers",
    ("outcome",),
)
CACHE_BYTES = _declare(Gauge, "chronolake_cache_bytes", "Memory that kept answers take, compressed.", "bytes")
CACHE_ERRORS = _declare(
    Counter, "chronolake_cache_redis_errors_total", "Times that Redis failed and was let alone.", "errors"
)
ROLLUPS = _declare(
    Gauge,
    "chronolake_rollups",
    "Rollups by state: current (answers are read from them), behind (rows have changed since).",
    "rollups",
    ("state",),
)
ROLLUP_CELLS = _declare(
    Counter, "chronolake_rollup_cells_total", "Cells of rollups that were computed.", "cells"
)
ROLLUP_SECONDS = _declare(
    Counter,
    "chronolake_rollup_seconds_total",
    "Time that computing cells took, beside all other work.",
    "seconds",
)
LAKE_FILES = _declare(
    Gauge, "chronolake_lake_files", "Data files of the newest snapshot, by table.", "files", ("table",)
)
LAKE_RESIDENT_BYTES = _declare(
    Gauge,
    "chronolake_lake_resident_bytes",
    "About what the small tables take that this process keeps in memory.",
    "bytes",
)
LAKE_SNAPSHOTS = _declare(Gauge, "chronolake_lake_snapshots", "Snapshots that the lake keeps.", "snapshots")
LAKE_EXPIRED_SNAPSHOTS = _declare(
    Counter, "chronolake_lake_expired_snapshots_total", "Snapshots that left the catalog.", "snapshots"
)
LAKE_REMOVED_FILES = _declare(
    Counter,
    "chronolake_lake_removed_files_total",
    "Files removed that no snapshot sees, or that the catalog never knew.",
    "files",
)
COMPACTION_FILES = _declare(
    Counter, "chronolake_compaction_files_total", "Files that were merged into others.", "files"
)
COMPACTION_BYTES = _declare(Counter, "chronolake_compaction_bytes_total", "Bytes that merges wrote.", "bytes")
COMPACTION_SECONDS = _declare(
    Counter, "chronolake_compaction_seconds_total", "Time that merges took, beside all other work.", "seconds"
)
COMPACTION_FAILURES = _declare(
    Counter, "chronolake_compaction_failures_total", "Rounds of merges that ended in an error.", "rounds"
)
JOBS = _declare(
    Gauge,
    "chronolake_jobs",
    "Jobs by queue and state: todo, doing, failed, cancelled (those that ended well are not kept).",
    "jobs",
    ("queue", "state"),
)
JOBS_OLDEST = _declare(
    Gauge,
    "chronolake_jobs_oldest_due_seconds",
    "For how long the job has waited that is due longest; 0 where none is due, NaN where it cannot be told.",
    "seconds",
    ("queue",),
)
JOB_SECONDS = _declare(
    Histogram,
    "chronolake_job_duration_seconds",
    "Time that a run of a job took, by outcome: done, again (it is run again), failed.",
    "seconds",
    ("queue", "outcome"),
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
JOBS_STALLED = _declare(
    Counter, "chronolake_jobs_stalled_total", "Jobs that were taken from a worker that was gone.", "jobs"
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
SYNC_LAG_BYTES = _declare(
    Gauge,
    "chronolake_sync_lag_bytes",
    "WAL between the lake's checkpoint and the present; NaN where it cannot be told.",
    "bytes",
)
SYNC_DEAD_LETTERS_OPEN = _declare(
    Gauge,
    "chronolake_sync_dead_letters_open",
    "Changes the lake could not take that nobody has dealt with.",
    "changes",
)
SLOT_HELD_BYTES = _declare(
    Gauge,
    "chronolake_slot_held_bytes",
    "WAL that the server keeps for the replication slot; NaN where there is none.",
    "bytes",
)
SLOT_STATUS = _declare(
    Gauge,
    "chronolake_slot_status",
    "State of the replication slot's WAL: 1 at reserved, extended, unreserved, lost or missing, 0 at the others.",
    "bool",
    ("status",),
)
SYNC_ROWS_DIFFERING = _declare(
    Gauge,
    "chronolake_sync_rows_differing",
    "Rows that were not the same in PostgreSQL and the lake when both were last compared, and were not repaired.",
    "rows",
    ("table",),
)
SYNC_VERIFIED = _declare(
    Gauge,
    "chronolake_sync_verified_timestamp_seconds",
    "When PostgreSQL and the lake were last compared, in Unix time.",
    "seconds",
    ("table",),
)
SYNC_VERIFY_SECONDS = _declare(
    Gauge,
    "chronolake_sync_verify_duration_seconds",
    "How long the last comparison took.",
    "seconds",
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
