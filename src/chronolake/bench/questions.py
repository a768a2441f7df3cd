"""What is asked of every engine: the same question, in each engine's own best words.

The texts lie in `sql/`, one statement a file. They differ only where the dialects do, so that an engine is
measured and not a translation. Two answers are equal when they have as many rows, and the same sums in every
column of `checked`; percentiles are left out, as ClickHouse interpolates their rank otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class BenchQuestion:
    """One question. `by_domain`: it takes the domain that the run chose."""

    name: str
    meaning: str
    checked: tuple[str, ...]
    by_domain: bool = False

    def sql(self, dialect: str) -> str:
        """The statement for `duckdb`, `postgres` or `clickhouse`."""
        return self._texts[dialect]

    @cached_property
    def _texts(self) -> dict[str, str]:
        folder = files("chronolake.bench") / "sql"
        return {
            dialect: (folder / f"{self.name}.{dialect}.sql").read_text(encoding="utf-8")
            for dialect in ("duckdb", "postgres", "clickhouse")
        }


#: The five questions that the design was decided by.
QUESTIONS = (
    BenchQuestion(
        "domain_months", "one domain's months", ("captures", "ok", "revisits", "bytes"), by_domain=True
    ),
    BenchQuestion("months", "all captures by month", ("captures", "bytes")),
    BenchQuestion("source_status", "by source and status, with p95 size", ("captures", "bytes")),
    BenchQuestion("top_domains", "top 20 domains with distinct digests", ("captures", "digests")),
    BenchQuestion("project_mime", "project x mime", ("captures", "bytes")),
)


def fingerprint(rows: Sequence[Mapping[str, Any]], checked: Sequence[str]) -> tuple[int, ...]:
    """What two equal answers share: the number of rows, then the sum of each checked column."""
    return len(rows), *(sum(int(row[name] or 0) for row in rows) for name in checked)
