"""PostgreSQL, the truth: its server where none is given, its schema, and every statement sent to it."""

from chronolake.oltp import (
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
    sync_tables,
)
from chronolake.oltp.database import Database, current_lsn
from chronolake.oltp.embedded import client_program

__all__ = [
    "Database",
    "client_program",
    "copies",
    "current_lsn",
    "dead_letters",
    "domains",
    "imports",
    "ledger",
    "moments",
    "projects",
    "quarantine",
    "relations",
    "rows",
    "sync_tables",
]
