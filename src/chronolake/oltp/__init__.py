"""PostgreSQL, the truth: its server where none is given, its schema, and every statement sent to it."""

from chronolake.oltp import (
    attempts,
    backfills,
    copies,
    dead_letters,
    domains,
    imports,
    ledger,
    moments,
    projects,
    quarantine,
    relations,
    rows,
    sessions,
    sync_tables,
)
from chronolake.oltp.database import Database, current_lsn, insert_lsn
from chronolake.oltp.embedded import client_program

__all__ = [
    "Database",
    "attempts",
    "backfills",
    "client_program",
    "copies",
    "current_lsn",
    "dead_letters",
    "domains",
    "imports",
    "insert_lsn",
    "ledger",
    "moments",
    "projects",
    "quarantine",
    "relations",
    "rows",
    "sessions",
    "sync_tables",
]
