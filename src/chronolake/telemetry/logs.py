"""Structured logs on standard error: one event a line, JSON for machines or console for people.

What is bound by `bound(...)` (a request id, an import's id) stands in every line that the same task logs.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from chronolake.settings import LogSettings

#: Without local variables, for some of them are addresses with their passwords.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(settings: LogSettings) -> None:
    """Set form and level of every log line of this process; calling it again changes them."""
    # It warns of SQL that it does not know, and quotes it; what becomes of such a text we say ourselves.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    # It tells of each attempt to connect; that none succeeded is told by the error that comes of it.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # It tells of each request; what became of an attempt is logged by whoever made it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It tells of each job that fails, trace and all; what became of a job is logged by its worker.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    form: list[Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if settings.format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *form],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; `name` stands in each of its lines as `module`."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Put `values` into every line that is logged inside the block, by this task or thread."""
    with structlog.contextvars.bound_contextvars(**values):
        yield
