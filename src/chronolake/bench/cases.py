"""What is timed: the design's five questions, the catalogue's by the router, and the export.

The cases hold the engines open; each engine that can answer a case stands in it under its name.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq

from chronolake.bench.engines import (
    ClickHouse,
    DuckDBFile,
    Engine,
    LakeSql,
    Postgres,
    Router,
    chdb_missing,
    open_bare,
)
from chronolake.bench.questions import QUESTIONS, BenchQuestion, fingerprint
from chronolake.bench.timing import Case, Fingerprint
from chronolake.lake import Lake
from chronolake.services import Services
from chronolake.settings import Settings

#: The engine whose answers are right: PostgreSQL holds the truth.
REFERENCE = "postgres"
#: How many domains are larger than the one that is asked for: its captures are some thousandths of all.
_LARGER_DOMAINS = 20


@dataclass(frozen=True)
class CatalogueQuestion:
    """A question of the catalogue as the benchmark asks it; `{domain}` stands for the run's domain."""

    name: str
    meaning: str
    params: Mapping[str, str]
    checked: tuple[str, ...]


CATALOGUE = (
    CatalogueQuestion(
        "domain_timeline",
        "domain timeline, by the router",
        {"domain": "{domain}", "interval": "month"},
        ("captures", "bytes"),
    ),
    CatalogueQuestion(
        "archive_sources_comparison", "archive source comparison, by the router", {}, ("captures",)
    ),
    CatalogueQuestion("project_summary", "project summary of all projects, by the router", {}, ()),
)


class Cases:
    """The engines over the same captures, and what is asked of them."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        routers: Mapping[str, Router],
        domain: tuple[str, int],
        scratch: Path,
    ) -> None:
        self._engines = engines
        self._routers = routers
        self.domain, self.domain_captures = domain
        self._scratch = scratch

    @classmethod
    @contextmanager
    def open(
        cls, settings: Settings, services: Services, lake: Lake, folder: Path, sorted_file: Path
    ) -> Iterator[Self]:
        """Open every engine on captures that are loaded; ClickHouse loads its own from `sorted_file`."""
        with ExitStack() as stack:
            bare = open_bare(settings)
            stack.callback(bare.close)
            engines: dict[str, Engine] = {
                engine.name: engine
                for engine in (
                    Postgres(services.database, bare),
                    LakeSql(lake),
                    DuckDBFile(bare, sorted_file),
                )
            }
            if chdb_missing() is None:
                clickhouse = ClickHouse(folder / "clickhouse", sorted_file)
                stack.callback(clickhouse.close)
                engines[clickhouse.name] = clickhouse
            routers = {
                "postgres": Router(services.router, "postgres"),
                "lake": Router(services.router, "duckdb"),
            }
            yield cls(engines, routers, _domain(lake), folder)

    @classmethod
    def of_lake(cls, services: Services, lake: Lake, folder: Path) -> Self:
        """The lake alone, with no other engine beside it."""
        return cls(
            {LakeSql.name: LakeSql(lake)},
            {LakeSql.name: Router(services.router, "duckdb")},
            _domain(lake),
            folder,
        )

    @property
    def clickhouse_missing(self) -> str | None:
        """Why ClickHouse is not measured; null where it is."""
        return chdb_missing()

    def all(self) -> Iterator[Case]:
        """Every case, in the order of the report."""
        for question in QUESTIONS:
            yield Case(
                question.name,
                question.meaning,
                {name: self._asked(engine, question) for name, engine in self._engines.items()},
            )
        for asked in CATALOGUE:
            yield Case(
                asked.name,
                asked.meaning,
                {name: self._routed(router, asked) for name, router in self._routers.items()},
            )
        yield Case(
            "export",
            "export of all captures to Parquet (zstd)",
            {name: self._exported(engine) for name, engine in self._engines.items()},
        )

    def _asked(self, engine: Engine, question: BenchQuestion) -> Callable[[], Fingerprint]:
        parameters = {"domain": self.domain} if question.by_domain else {}
        return lambda: fingerprint(engine.answer(question, parameters), question.checked)

    def _routed(self, router: Router, asked: CatalogueQuestion) -> Callable[[], Fingerprint]:
        params = {name: value.format(domain=self.domain) for name, value in asked.params.items()}
        return lambda: fingerprint(router.ask(asked.name, params), asked.checked)

    def _exported(self, engine: Engine) -> Callable[[], Fingerprint]:
        path = self._scratch / f"export-{engine.name}.parquet"

        def export() -> Fingerprint:
            path.unlink(missing_ok=True)
            engine.export(path)
            return (pq.read_metadata(path).num_rows,)

        return export


def _domain(lake: Lake) -> tuple[str, int]:
    """The domain that is asked for, and its captures: large, but no giant."""
    with lake.errors_translated(), lake.cursor() as cursor:
        found: list[Any] = cursor.execute(
            "SELECT domain, count(*) AS captures FROM cdx_records GROUP BY domain"
            " ORDER BY captures DESC, domain LIMIT ?",
            [_LARGER_DOMAINS + 1],
        ).fetchall()
    name, captures = found[-1]
    return str(name), int(captures)
