"""PostgreSQL, the truth: its server where none is given, its schema, and every statement sent to it."""

from chronolake.oltp import (
    attempts,
    backfills,
    copies,
    dead_letters,
    domains,
    exports,
    imports,
    ledger,
    moments,
    optimizer_log,
    projects,
    quarantine,
    queued,
    relations,
    rows,
    schedules,
    searches,
    sessions,
    sync_tables,
)
from chronolake.oltp.database import Database, current_lsn, insert_lsn
from chronolake.oltp.embedded import client_program
from chronolake.oltp.samples import MetricSampler, Sampled

__all__ = [
    "Database",
    "MetricSampler",
    "Sampled",
    "attempts",
    "backfills",
    "client_program",
    "copies",
    "current_lsn",
    "dead_letters",
    "domains",
    "exports",
    "imports",
    "insert_lsn",
    "ledger",
    "moments",
    "optimizer_log",
    "projects",
    "quarantine",
    "queued",
    "relations",
    "rows",
    "schedules",
    "searches",
    "sessions",
    "sync_tables",
]
