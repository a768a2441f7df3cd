"""Settings: frozen values, read once from defaults < environment < flags, and handed down by section.

Each setting is one field that names its environment variable, meaning and bounds. `load` remembers where each
value came from, so that `chronolake settings` can say so; secrets print as `***`.
"""

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from chronolake.errors import SettingsError

#: Variables that begin so are ours; an unknown one is a typing error, not a wish.
OWN_PREFIXES = ("CHRONOLAKE_", "DUCKDB_", "PARQUET_", "DATA_SYNC_")
#: Read by other parts than the settings: the test faults, and what starts a process.
NOT_SETTINGS = frozenset({"CHRONOLAKE_FAULT"})

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?\s*$", re.IGNORECASE)
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([dhms]?)\s*$", re.IGNORECASE)
_UNITS = {"": 1, "b": 1} | {
    f"{letter}{infix}b": (1024 if infix else 1000) ** power
    for power, letter in enumerate("kmgt", start=1)
    for infix in ("", "i")
}


def _bytes(value: object) -> object:
    """Read `4GB`, `512MiB` or a plain number of bytes, with DuckDB's units (GB = 1000^3, GiB = 1024^3)."""
    if not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    if match is None:
        raise ValueError("write a size such as 4GB or 512MiB")
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()])


def _seconds(value: object) -> object:
    """Read `7d`, `36h`, `90m`, `45s` or a plain number of seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.match(value)
    if match is None:
        raise ValueError("write a time such as 7d, 36h or 90m")
    return float(match[1]) * {"d": 86_400, "h": 3600, "m": 60}.get(match[2].lower(), 1)


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _postgres_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("write it as postgresql://user:password@host:port/database")
    return value


def _header(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("write it in printable ASCII, for it is sent in a header")
    return value


def _archives(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if not set(names) <= {"wayback", "commoncrawl"} or len(set(names)) != len(names):
        raise ValueError("write wayback and commoncrawl, apart by a comma, each at most once")
    return ",".join(names)


def _subsets(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if not set(names) <= {"warc", "crawldiagnostics", "robotstxt"} or len(set(names)) != len(names):
        raise ValueError("write warc, crawldiagnostics and robotstxt, apart by commas, each at most once")
    return ",".join(names)


def _weights(value: str) -> str:
    try:
        weights_of(value)
    except ValueError:
        raise ValueError("write projects' ids with their weights, above 0: 7=3,12=0.5") from None
    return value


def weights_of(value: str) -> dict[int, float]:
    """Weights of projects by id.

    Raises:
        ValueError: it is not written as `7=3,12=0.5`.
    """
    pairs = [part.split("=") for part in value.split(",") if part.strip()]
    weights = {int(project_id): float(weight) for project_id, weight in pairs}
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise ValueError(value)
    return weights


Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


class Layout(StrEnum):
    """How the lake partitions its tables. The order inside each file is always (domain, timestamp)."""

    BUCKET = "bucket"  #: 16 buckets of the domain: a scrape writes one, a reader asks for one
    YEAR_MONTH = "year_month"  #: the plan's (year, month), for archives that are read by time
    BUCKET_YEAR = "bucket_year"  #: 16 buckets of the domain, then the year
    NONE = "none"  #: no partitions: a commit is one file


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class HomeSettings(_Section):
    """Where things lie on this machine."""

    path: Path = Field(
        default=Path("~/.chronolake"),
        alias="CHRONOLAKE_HOME",
        description="Folder of the embedded PostgreSQL, the lake and the staged files.",
    )

    @cached_property
    def root(self) -> Path:
        """The home as an absolute path."""
        return self.path.expanduser().resolve()


class DatabaseSettings(_Section):
    """PostgreSQL."""

    url: Annotated[SecretStr, AfterValidator(_postgres_url)] | None = Field(
        default=None,
        alias="DATABASE_URL",
        description="PostgreSQL 16 or newer, wal_level=logical. Unset: embedded PostgreSQL 18 in the home.",
    )
    pool_size: int = Field(
        default=8,
        ge=6,
        le=200,
        alias="CHRONOLAKE_DB_POOL_SIZE",
        description="Connections a process may hold; an ingest needs five.",
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=600, alias="CHRONOLAKE_DB_CONNECT_TIMEOUT_S",
        description="Seconds to wait for a connection before it counts as unavailable.",
    )  # fmt: skip


class DuckDBSettings(_Section):
    """The analytical engine of each process."""

    database_path: Path = Field(
        default=Path("/var/lib/duckdb/chrono_analytics.db"),
        alias="DUCKDB_DATABASE_PATH",
        description=(
            "Scratch database of the engine; what does not fit in memory spills into `<path>.tmp`."
            " Facts never live here. Left at its default where its folder cannot be written,"
            " the home serves instead."
        ),
    )
    memory_limit: Bytes = Field(
        default="4GB",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        alias="DUCKDB_MEMORY_LIMIT",
        description="Memory one process's engine may use, at most 80 % of the machine's.",
    )
    worker_threads: int = Field(
        default=4,
        ge=1,
        le=1024,
        alias="DUCKDB_WORKER_THREADS",
        description="Threads of an engine; unset, no more than there are cores.",
    )
    enable_s3: bool = Field(
        default=True,
        alias="DUCKDB_ENABLE_S3",
        description="Load httpfs, so that a lake can lie on S3.",
    )


class ParquetSettings(_Section):
    """How the lake's Parquet files are written."""

    compression: Annotated[Literal["ZSTD", "LZ4"], BeforeValidator(_upper)] = Field(
        default="ZSTD", alias="PARQUET_COMPRESSION", description="Compression of Parquet files: ZSTD or LZ4."
    )
    row_group_size: int = Field(
        default=1_000_000,
        ge=2048,
        le=100_000_000,
        alias="PARQUET_ROW_GROUP_SIZE",
        description="Rows per row group.",
    )
    page_size: int = Field(
        default=1_048_576, ge=4096, le=100_000_000, alias="PARQUET_PAGE_SIZE",
        description="Bytes per data page, in the files that chronolake's own writer lays down.",
    )  # fmt: skip


class SyncSettings(_Section):
    """How the lake is kept equal to PostgreSQL."""

    batch_size: int = Field(
        default=10_000, ge=1, le=10_000_000, alias="DATA_SYNC_BATCH_SIZE",
        description=(
            "Changes that a lake commit takes while the sync keeps up; up to 20 times as many while it is behind."
        ),
    )  # fmt: skip
    interval_s: float = Field(
        default=300, gt=0, le=86_400, alias="DATA_SYNC_INTERVAL",
        description="Seconds between two looks at the lake's files, at most; fewer while there is much to merge.",
    )  # fmt: skip
    dual_write: bool = Field(
        default=True, alias="ENABLE_DUAL_WRITE",
        description="Ingest stages each batch for the lake in the transaction that stores it in PostgreSQL.",
    )  # fmt: skip
    verify_interval_s: float = Field(
        default=86_400, ge=0, le=31_536_000, alias="CHRONOLAKE_VERIFY_INTERVAL",
        description="Seconds between two comparisons of the lake with PostgreSQL, where a worker runs; 0: none.",
    )  # fmt: skip


class LakeSettings(_Section):
    """The lake's place and layout."""

    data_path: str | None = Field(
        default=None, alias="CHRONOLAKE_LAKE_PATH",
        description="Folder or s3:// address of the lake's files. Unset: a folder of its own in `lake` in the home.",
    )  # fmt: skip
    layout: Layout = Field(
        default=Layout.BUCKET, alias="CHRONOLAKE_LAKE_LAYOUT",
        description="Partitions of a lake that is being created: bucket, year_month, bucket_year or none.",
    )  # fmt: skip
    lock_timeout_s: float = Field(
        default=120, gt=0, le=3600, alias="CHRONOLAKE_LAKE_LOCK_TIMEOUT_S",
        description="Seconds to wait for another process that is committing to the lake.",
    )  # fmt: skip
    retention_s: Seconds = Field(
        default="7d",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        ge=600, le=3_660 * 86_400, alias="CHRONOLAKE_LAKE_RETENTION",
        description="How far back the lake can be asked as it was: 7d, 36h, 90m. The newest state is always kept.",
    )  # fmt: skip
    resident_bytes: int = Field(
        default=256 * 2**20, ge=0, le=2**40, alias="CHRONOLAKE_LAKE_RESIDENT_BYTES",
        description="Memory that one process keeps small tables in, rollups above all; 0 keeps none.",
    )  # fmt: skip


class IngestSettings(_Section):
    """Reading captures."""

    batch_rows: int = Field(
        default=100_000, ge=1, le=5_000_000, alias="CHRONOLAKE_INGEST_BATCH_ROWS",
        description="Captures stored in one PostgreSQL transaction, and in one staged file.",
    )  # fmt: skip
    max_line_bytes: Bytes = Field(
        default=16 * 1024 * 1024, alias="CHRONOLAKE_MAX_LINE_BYTES",
        description="A line longer than this is rejected without being held in memory.",
    )  # fmt: skip


class ArchiveSettings(_Section):
    """Asking web archives."""

    contact: Annotated[str, AfterValidator(_header)] | None = Field(
        default=None, alias="CHRONOLAKE_CONTACT",
        description="Mail or web address that archives may reach you at; stands in the User-Agent.",
    )  # fmt: skip
    wayback_url: str = Field(
        default="https://web.archive.org/cdx/search/cdx", alias="CHRONOLAKE_WAYBACK_URL",
        description="Address of the Wayback CDX API.",
    )  # fmt: skip
    commoncrawl_url: str = Field(
        default="https://index.commoncrawl.org", alias="CHRONOLAKE_COMMONCRAWL_URL",
        description="Address of Common Crawl's index server.",
    )  # fmt: skip
    commoncrawl_data_url: str = Field(
        default="https://data.commoncrawl.org", alias="CHRONOLAKE_COMMONCRAWL_DATA_URL",
        description="Address below which Common Crawl's WARC files and its columnar index lie.",
    )  # fmt: skip
    commoncrawl_subsets: Annotated[str, AfterValidator(_subsets)] = Field(
        default="warc,crawldiagnostics,robotstxt", alias="CHRONOLAKE_COMMONCRAWL_SUBSETS",
        description="What `commoncrawl-columnar` reads: pages, redirects and errors, robots.txt.",
    )  # fmt: skip
    per_minute: float | None = Field(
        default=None, gt=0, le=60_000, alias="CHRONOLAKE_ARCHIVE_PER_MINUTE",
        description="Requests a minute to one host, at most. Unset: what suits the archive; never above its own limit.",
    )  # fmt: skip
    timeout_s: float = Field(
        default=180, gt=0, le=3600, alias="CHRONOLAKE_ARCHIVE_TIMEOUT_S",
        description="Seconds after which a request to an archive is given up, from connecting to the last byte.",
    )  # fmt: skip
    tries: int = Field(
        default=6, ge=1, le=20, alias="CHRONOLAKE_ARCHIVE_TRIES",
        description="Times that a request is tried before it counts as failed.",
    )  # fmt: skip
    backoff_s: float = Field(
        default=2, gt=0, le=600, alias="CHRONOLAKE_ARCHIVE_BACKOFF_S",
        description="Seconds before the second try; each further one waits twice as long, and a random share more.",
    )  # fmt: skip
    page_rows: int = Field(
        default=10_000, ge=1, le=150_000, alias="CHRONOLAKE_ARCHIVE_PAGE_ROWS",
        description="Captures that one request asks for, where the archive can be told.",
    )  # fmt: skip
    most_bytes: Bytes = Field(
        default=2**30, alias="CHRONOLAKE_ARCHIVE_MAX_BYTES",
        description="Bytes of the largest answer that is taken, decompressed; it waits on disk until it is whole.",
    )  # fmt: skip
    overlap_s: Seconds = Field(
        default="7d",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        ge=0, le=3_660 * 86_400, alias="CHRONOLAKE_COLLECT_OVERLAP",
        description="How far before the newest capture a `--since-last` run begins, for archives index late: 7d, 36h.",
    )  # fmt: skip
    order: Annotated[str, AfterValidator(_archives)] = Field(
        default="wayback,commoncrawl", alias="CHRONOLAKE_ARCHIVE_ORDER",
        description="Archives that a hybrid project asks, first to last.",
    )  # fmt: skip


class PayloadSettings(_Section):
    """Fetching payloads, and storing the pages that they become."""

    wayback_url: str = Field(
        default="https://web.archive.org/web", alias="CHRONOLAKE_WAYBACK_REPLAY_URL",
        description="Address of the Wayback Machine's replay.",
    )  # fmt: skip
    batch_pages: int = Field(
        default=500, ge=1, le=100_000, alias="CHRONOLAKE_PAGE_BATCH",
        description="Pages stored in one PostgreSQL transaction; fewer where they come slowly.",
    )  # fmt: skip


class ExtractMethod(StrEnum):
    """What takes the main text out of HTML."""

    RESILIPARSE = "resiliparse"  #: by its own rules; about ten times as fast
    TRAFILATURA = "trafilatura"  #: keeps less of menus and footers


class EntityFinder(StrEnum):
    """What looks for entities in a text."""

    RULES = "rules"  #: works everywhere
    SPACY = "spacy"  #: rules, and a model of spaCy for persons, organisations and places
    NONE = "none"


class ExtractSettings(_Section):
    """From payloads to pages."""

    workers: int | None = Field(
        default=None, ge=1, le=256, alias="CHRONOLAKE_EXTRACT_WORKERS",
        description="Processes that read payloads. Unset: one for each core.",
    )  # fmt: skip
    method: ExtractMethod = Field(
        default=ExtractMethod.RESILIPARSE, alias="CHRONOLAKE_EXTRACT_METHOD",
        description="What takes the main text out of HTML: resiliparse or trafilatura.",
    )  # fmt: skip
    entities: EntityFinder = Field(
        default=EntityFinder.RULES, alias="CHRONOLAKE_EXTRACT_ENTITIES",
        description="What looks for entities: rules, spacy (needs the extra and a model) or none.",
    )  # fmt: skip
    spacy_model: str = Field(
        default="en_core_web_sm", alias="CHRONOLAKE_EXTRACT_SPACY_MODEL",
        description="Model of spaCy, installed beside it; it reads the pages that are in its language.",
    )  # fmt: skip
    max_bytes: Bytes = Field(
        default=16 * 2**20, alias="CHRONOLAKE_EXTRACT_MAX_BYTES",
        description="A larger payload is not read.",
    )  # fmt: skip
    max_depth: int = Field(
        default=1000, ge=16, le=100_000, alias="CHRONOLAKE_EXTRACT_MAX_DEPTH",
        description="HTML whose elements are nested deeper is not read.",
    )  # fmt: skip
    timeout_s: float = Field(
        default=20, gt=0, le=3600, alias="CHRONOLAKE_EXTRACT_TIMEOUT_S",
        description="Seconds after which the reading of a payload is given up, with the process that reads it.",
    )  # fmt: skip
    memory: Annotated[int, BeforeValidator(_bytes), Field(ge=64 * 2**20)] = Field(
        default=2**30, alias="CHRONOLAKE_EXTRACT_MEMORY",
        description="Memory that one process may take for a payload, beside its libraries.",
    )  # fmt: skip


class JobSettings(_Section):
    """Jobs that outlive whoever asked for them."""

    in_server: bool = Field(
        default=True, alias="CHRONOLAKE_JOBS_IN_SERVER",
        description="Whether `chronolake serve` works on jobs itself, in threads. Off: `chronolake work` does.",
    )  # fmt: skip
    concurrency: int = Field(
        default=1, ge=1, le=32, alias="CHRONOLAKE_JOBS_CONCURRENCY",
        description="Jobs that one worker runs at a time; each may need five connections.",
    )  # fmt: skip
    tries: int = Field(
        default=8, ge=1, le=100, alias="CHRONOLAKE_JOBS_TRIES",
        description="Failures in a row after which a job is not tried again.",
    )  # fmt: skip
    backoff_s: float = Field(
        default=30, gt=0, le=3600, alias="CHRONOLAKE_JOBS_BACKOFF_S",
        description="Seconds before a job that failed is tried again; twice as many each time, up to an hour.",
    )  # fmt: skip
    stalled_s: float = Field(
        default=10, ge=1, le=600, alias="CHRONOLAKE_JOBS_STALLED_S",
        description="Seconds without a sign of life after which the jobs of a worker are taken up by another.",
    )  # fmt: skip


class QuerySettings(_Section):
    """Answering questions."""

    timeout_s: float = Field(
        default=60, gt=0, le=86_400, alias="CHRONOLAKE_QUERY_TIMEOUT_S",
        description="Seconds after which a query is stopped.",
    )  # fmt: skip
    max_rows: int = Field(
        default=10_000, ge=1, le=10_000_000, alias="CHRONOLAKE_QUERY_MAX_ROWS",
        description="Rows that an ad-hoc SQL answer holds at most.",
    )  # fmt: skip
    max_bytes: int = Field(
        default=64 * 2**20, ge=1024, le=2**34, alias="CHRONOLAKE_QUERY_MAX_BYTES",
        description="Bytes that an ad-hoc SQL answer holds at most.",
    )  # fmt: skip
    export_timeout_s: float = Field(
        default=3600, gt=0, le=7 * 86_400, alias="CHRONOLAKE_EXPORT_TIMEOUT_S",
        description="Seconds after which an export is stopped.",
    )  # fmt: skip
    export_hours: float = Field(
        default=72, gt=0, le=8_760, alias="CHRONOLAKE_EXPORT_HOURS",
        description="Hours that an export which was asked for over HTTP can be fetched.",
    )  # fmt: skip
    export_bytes: Bytes = Field(
        default="20GB",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        alias="CHRONOLAKE_EXPORT_BYTES",
        description="Room that such exports may take together; beyond it the oldest go.",
    )  # fmt: skip
    concurrency: int = Field(
        default=4, ge=1, le=256, alias="CHRONOLAKE_QUERY_CONCURRENCY",
        description="Analytical queries that one process runs at the same time; others queue.",
    )  # fmt: skip
    queue_size: int = Field(
        default=64, ge=1, le=10_000, alias="CHRONOLAKE_QUERY_QUEUE_SIZE",
        description="Queries that may wait; one more is refused at once.",
    )  # fmt: skip
    tenant_concurrency: int | None = Field(
        default=None, ge=1, le=256, alias="CHRONOLAKE_QUERY_TENANT_CONCURRENCY",
        description="Of these, queries about the same projects that run at the same time. Unset: all but one.",
    )  # fmt: skip
    tenant_queue_size: int | None = Field(
        default=None, ge=1, le=10_000, alias="CHRONOLAKE_QUERY_TENANT_QUEUE_SIZE",
        description="Queries about the same projects that may wait. Unset: three quarters of all.",
    )  # fmt: skip
    weights: Annotated[str, AfterValidator(_weights)] = Field(
        default="", alias="CHRONOLAKE_QUERY_WEIGHTS",
        description="Turns that queries about a project get for each of the others', by its id: `7=3,12=0.5`.",
    )  # fmt: skip
    postgres_concurrency: int = Field(
        default=2, ge=1, le=64, alias="CHRONOLAKE_POSTGRES_CONCURRENCY",
        description="Of all queries, those that one process has PostgreSQL compute at the same time.",
    )  # fmt: skip
    postgres_most_rows: int = Field(
        default=50_000_000, ge=0, alias="CHRONOLAKE_POSTGRES_MOST_ROWS",
        description="Rows of PostgreSQL that a question may read, by estimate, where nobody named that engine.",
    )  # fmt: skip
    postgres_cheap_rows: int = Field(
        default=100_000, ge=0, alias="CHRONOLAKE_POSTGRES_CHEAP_ROWS",
        description="Rows up to which PostgreSQL is chosen where it costs less than the lake; 0: it never is.",
    )  # fmt: skip
    engine_failures: int = Field(
        default=5, ge=1, le=1000, alias="CHRONOLAKE_ENGINE_FAILURES",
        description="Failures in a row, with none of them the question's own, after which an engine is let alone.",
    )  # fmt: skip
    engine_pause_s: float = Field(
        default=5, gt=0, le=3600, alias="CHRONOLAKE_ENGINE_PAUSE_S",
        description="Seconds until one question tries it again; each time that fails twice as many, up to 16 times.",
    )  # fmt: skip
    shadow_share: float = Field(
        default=0, ge=0, le=1, alias="CHRONOLAKE_SHADOW_SHARE",
        description="Share of the questions that PostgreSQL answers too, in the background, to compare; 0: none.",
    )  # fmt: skip
    analytics_enabled: bool = Field(
        default=True, alias="ANALYTICS_ENABLED",
        description="Answer from the lake. Off: PostgreSQL answers every question.",
    )  # fmt: skip


class HistorySettings(_Section):
    """The search history."""

    days: int = Field(
        default=30, ge=0, le=3_660, alias="CHRONOLAKE_HISTORY_DAYS",
        description="Days that questions which were asked are kept, with what they cost; 0 keeps none.",
    )  # fmt: skip


class PlanSettings(_Section):
    """Looking at how questions are answered."""

    slow_ms: float = Field(
        default=1000, ge=0, le=86_400_000, alias="CHRONOLAKE_SLOW_MS",
        description="Milliseconds from which on a question's plan is looked at, in the background; 0: none for that.",
    )  # fmt: skip
    share: float = Field(
        default=0.01, ge=0, le=1, alias="CHRONOLAKE_PLAN_SHARE",
        description="Share of the other questions whose plans are looked at, so that one knows how they were; 0: none.",
    )  # fmt: skip
    per_minute: float = Field(
        default=6, gt=0, le=6000, alias="CHRONOLAKE_PLANS_PER_MINUTE",
        description="Looks a minute, at most, in each process.",
    )  # fmt: skip
    regression_ratio: float = Field(
        default=1.5, gt=1, le=1000, alias="CHRONOLAKE_PLAN_REGRESSION_RATIO",
        description="A new plan that takes so many times as long as the one before is told of, by medians.",
    )  # fmt: skip


class OptimizerMode(StrEnum):
    """Whether the optimizer works by itself."""

    OFF = "off"  #: it proposes, and does what it is told to
    AUTO = "auto"  #: it makes what it would propose, and drops what it made and nobody reads


class OptimizerSettings(_Section):
    """Making questions cheaper."""

    mode: OptimizerMode = Field(
        default=OptimizerMode.OFF, alias="CHRONOLAKE_OPTIMIZE",
        description="off: propose rollups and indexes, make those that are asked for. auto: make and drop them, too.",
    )  # fmt: skip
    budget_bytes: Bytes = Field(
        default="1GB",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        alias="CHRONOLAKE_ROLLUP_BUDGET",
        description="Room on the disk that all rollups together may take, for any more to be proposed.",
    )  # fmt: skip
    index_budget_bytes: Bytes = Field(
        default="1GB",  # type: ignore[assignment]  # read by the validator, as the environment's text is
        alias="CHRONOLAKE_INDEX_BUDGET",
        description="Room that the optimizer's indexes in PostgreSQL may take, for any more to be proposed.",
    )  # fmt: skip
    layout_ratio: float = Field(
        default=1.3, gt=1, le=1000, alias="CHRONOLAKE_LAYOUT_RATIO",
        description="Another layout of the lake is proposed where it was measured to answer so many times as fast.",
    )  # fmt: skip


class CacheSettings(_Section):
    """The result cache."""

    redis_url: SecretStr | None = Field(
        default=None, alias="REDIS_URL",
        description="Redis or Valkey server that processes share answers by; `/health/ready` watches it.",
    )  # fmt: skip
    most_bytes: int = Field(
        default=64 * 2**20, ge=0, le=2**40, alias="CHRONOLAKE_CACHE_BYTES",
        description="Memory that one process keeps answers in, compressed; 0 keeps none, in Redis neither.",
    )  # fmt: skip
    lifetime_s: int = Field(
        default=3600, ge=1, le=30 * 86_400, alias="CHRONOLAKE_CACHE_LIFETIME_S",
        description="Seconds that Redis keeps an answer.",
    )  # fmt: skip


class ServerSettings(_Section):
    """The API."""

    port: int = Field(default=8000, ge=1, le=65535, alias="CHRONOLAKE_PORT", description="Port on 127.0.0.1.")


class LogSettings(_Section):
    """Logs, and what metrics were."""

    format: Literal["console", "json"] = Field(
        default="console",
        alias="CHRONOLAKE_LOG_FORMAT",
        description="Form of the log on standard error: console or json.",
    )
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        default="WARNING", alias="CHRONOLAKE_LOG_LEVEL", description="Least severe message that is logged."
    )
    sample_interval_s: float = Field(
        default=60, ge=0, le=86_400, alias="CHRONOLAKE_SAMPLE_INTERVAL_S",
        description="Seconds between two samples of a process's metrics; 0: none are kept.",
    )  # fmt: skip
    sample_days: int = Field(
        default=30, ge=1, le=3650, alias="CHRONOLAKE_SAMPLE_DAYS",
        description="Days that samples of metrics are kept.",
    )  # fmt: skip


class Settings(BaseModel):
    """All settings, by section."""

    model_config = ConfigDict(frozen=True)

    home: HomeSettings = HomeSettings()
    database: DatabaseSettings = DatabaseSettings()
    duckdb: DuckDBSettings = DuckDBSettings()
    parquet: ParquetSettings = ParquetSettings()
    sync: SyncSettings = SyncSettings()
    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    archives: ArchiveSettings = ArchiveSettings()
    payloads: PayloadSettings = PayloadSettings()
    extract: ExtractSettings = ExtractSettings()
    jobs: JobSettings = JobSettings()
    query: QuerySettings = QuerySettings()
    history: HistorySettings = HistorySettings()
    plans: PlanSettings = PlanSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    cache: CacheSettings = CacheSettings()
    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    #: where each value that is not a default came from, by variable
    origins: dict[str, str] = Field(default_factory=dict)

    @cached_property
    def duckdb_scratch(self) -> Path:
        """The engine's scratch database: the setting, or the home where the default cannot be written."""
        path = self.duckdb.database_path.expanduser()
        if "DUCKDB_DATABASE_PATH" in self.origins or _writable(path.parent):
            return path
        return self.home.root / "duckdb" / path.name

    @cached_property
    def duckdb_threads(self) -> int:
        """Threads of an engine: as told; the default is no more than there are cores, for more only cost."""
        told = self.duckdb.worker_threads
        return told if "DUCKDB_WORKER_THREADS" in self.origins else min(told, os.cpu_count() or 1)

    @cached_property
    def lake_path(self) -> str | None:
        """Folder or address of the lake's files as told; untold, the lake has a folder of its own in `lakes`."""
        given = self.lake.data_path
        # The catalog keeps the folder as it is said, and another command may run in another folder.
        return given if given is None or "://" in given else str(Path(given).expanduser().resolve())

    @cached_property
    def lakes(self) -> Path:
        """Folder of the lakes that were told no place: one home may serve several databases."""
        return self.home.root / "lake"

    @cached_property
    def exports(self) -> Path:
        """Folder of the exports that were asked for over HTTP."""
        return self.home.root / "exports"

    @cached_property
    def staged(self) -> Path:
        """Folder of staged files of every database, each in a folder of its own."""
        return self.home.root / "staged"

    def staging(self, instance: UUID) -> Path:
        """Folder of the staged files of one database."""
        return self.staged / str(instance)


@dataclass(frozen=True)
class Shown:
    """One line of `chronolake settings`."""

    variable: str
    value: str
    origin: str
    meaning: str


def load(environment: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """Read the settings from the environment, then let `flags` (by variable; None is not said) overrule.

    Raises:
        SettingsError: a value is out of bounds, or a variable with one of our prefixes is unknown.
    """
    environment = os.environ if environment is None else environment
    said: dict[str, tuple[object, str]] = {}
    known = {variable for variable, *_ in _fields()}
    for variable, value in environment.items():
        if variable in known:
            # An empty variable is how a shell or a compose file leaves one out.
            if value != "":
                said[variable] = (value, "environment")
        elif variable.startswith(OWN_PREFIXES) and variable not in NOT_SETTINGS:
            near = difflib.get_close_matches(variable, known, n=1)
            raise SettingsError(
                f"{variable} is no setting",
                hint=f"Did you mean {near[0]}?" if near else None,
                variable=variable,
            )
    said |= {name: (value, "flag") for name, value in flags.items() if value is not None}
    sections: dict[str, Any] = {}
    for section, model in _sections():
        values = {f.alias: said[f.alias][0] for f in model.model_fields.values() if f.alias in said}
        try:
            sections[section] = model.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            variable = str(first["loc"][0])
            given, origin = said[variable]
            shown = "***" if _is_secret(variable) else repr(given)
            raise SettingsError(
                f"{variable}={shown} (from the {origin}): {first['msg']}",
                hint=_meaning(variable),
                variable=variable,
            ) from None
    return Settings(**sections, origins={name: origin for name, (_, origin) in said.items()})


def show(settings: Settings) -> list[Shown]:
    """What is in force and where each value came from; secrets as `***`."""
    lines = []
    for variable, section, name, meaning in _fields():
        value = getattr(getattr(settings, section), name)
        origin = settings.origins.get(variable, "default")
        if isinstance(value, SecretStr):
            value = "***"
        if variable == "DUCKDB_DATABASE_PATH" and settings.duckdb_scratch != value:
            origin = f"default, but {value.parent} cannot be written"
            value = settings.duckdb_scratch
        lines.append(Shown(variable, "unset" if value is None else str(value), origin, meaning))
    return lines


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give a child process these settings; secrets are told in full."""
    found = {}
    for variable, section, name, _ in _fields():
        value = getattr(getattr(settings, section), name)
        if variable in settings.origins and value is not None:
            told = value.get_secret_value() if isinstance(value, SecretStr) else value
            found[variable] = str(told)
    return found


def _sections() -> list[tuple[str, type[_Section]]]:
    return [
        (name, model.annotation)
        for name, model in Settings.model_fields.items()
        if isinstance(model.annotation, type) and issubclass(model.annotation, _Section)
    ]


def _fields() -> list[tuple[str, str, str, str]]:
    """(variable, section, field, meaning) of every setting."""
    return [
        (str(f.alias), section, name, str(f.description))
        for section, model in _sections()
        for name, f in model.model_fields.items()
    ]


def _meaning(variable: str) -> str:
    return next(meaning for name, _, _, meaning in _fields() if name == variable)


def _is_secret(variable: str) -> bool:
    section, name = next((s, n) for v, s, n, _ in _fields() if v == variable)
    annotation = dict(_sections())[section].model_fields[name].annotation
    return SecretStr in (annotation, *get_args(annotation)) or variable.endswith("_URL")


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK)
