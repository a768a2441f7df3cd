"""What a benchmark found, as a JSON document and as Markdown that is read without it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from chronolake.bench.environment import Environment
from chronolake.bench.targets import TargetResult
from chronolake.bench.timing import CaseResult
from chronolake.bench.writing import about_of, bytes_of, count_of, spread_of, table_of, time_of

#: The engine that ratios are taken to.
BASE = "duckdb_file"

ENGINES = {
    "postgres": "PostgreSQL, our tables and indexes",
    "lake": "our lake, the same SQL over the files of its newest snapshot",
    "duckdb_file": "bare DuckDB over one sorted Parquet file",
    "clickhouse": "ClickHouse MergeTree, by chdb",
}


@dataclass(frozen=True)
class IngestMeasure:
    """One file ingested twice into an empty home; memory is of the ingesting process, without the server."""

    read: int
    stored: int
    rejected: int
    repaired: int
    elapsed_s: float
    captures_per_s: float
    peak_memory_bytes: int
    second_stored: int
    second_elapsed_s: float


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk of the same captures."""

    lake_bytes: int
    lake_files: int
    postgres_bytes: int
    postgres_table_bytes: int
    sorted_file_bytes: int

    @property
    def saved(self) -> float:
        """The share of PostgreSQL's bytes that the lake does without."""
        return 1 - self.lake_bytes / self.postgres_bytes


@dataclass(frozen=True)
class Loads:
    """Seconds that the stores took to be filled with generated tables, drawing them included.

    Then the lake's files were merged, as they are in time beside other work: seconds, files before, longest wait of
    others.
    """

    lake_s: float
    postgres_s: float
    compaction_s: float
    compaction_files: int
    compaction_swap_s: float


@dataclass(frozen=True)
class BenchReport:
    """Everything a run found."""

    rows: int
    seed: int
    repeat: int
    date: datetime
    command: str
    environment: Environment
    settings: dict[str, str]
    domain: str
    domain_captures: int
    ingest_rows: int
    ingest: IngestMeasure
    loads: Loads
    sizes: Sizes
    cases: tuple[CaseResult, ...]
    targets: tuple[TargetResult, ...]
    clickhouse: str | None
    peak_memory_bytes: int

    def document(self) -> dict[str, Any]:
        """The report as JSON values; times in seconds, sizes in bytes."""
        document = asdict(self)
        document["date"] = self.date.isoformat()
        document["loads"] |= {
            "lake_captures_per_s": self.rows / self.loads.lake_s,
            "postgres_captures_per_s": self.rows / self.loads.postgres_s,
        }
        document["sizes"]["saved"] = self.sizes.saved
        document["cases"] = [_case_document(case) for case in self.cases]
        document["targets"] = [target.document() for target in self.targets]
        return document

    def markdown(self) -> str:
        """The report for readers."""
        return "\n".join(
            [
                f"# Benchmark on {count_of(self.rows)} captures",
                "",
                *self._about(),
                "",
                "## The plan's targets",
                "",
                "Each at the scale that the plan names, on a lake of its own that grows from one to the next.",
                "",
                *self._targets(),
                "",
                "## Questions and export",
                "",
                "Median (fastest to slowest), and the ratio to bare DuckDB over one sorted file.",
                "",
                *self._cases(),
                "",
                "## Ingest, loads and sizes",
                "",
                *self._stores(),
                "",
            ]
        )

    def _about(self) -> Iterator[str]:
        yield from about_of(
            self.environment, date=self.date, command=self.command, seed=self.seed, settings=self.settings
        )
        yield (
            f"- each question: one run to check and warm, then {self.repeat} timed rounds, in each of which"
            " every engine runs once"
        )
        yield f"- the one domain: `{self.domain}` with {count_of(self.domain_captures)} captures"
        if self.clickhouse:
            yield f"- ClickHouse was not measured: {self.clickhouse}"
        yield "- engines: " + "; ".join(f"**{name}** {meaning}" for name, meaning in ENGINES.items())

    def _targets(self) -> Iterator[str]:
        yield from table_of(
            ("target", "asked as", "limit", "the plan's scale", "scale that ran", "median", "verdict"),
            [
                (
                    result.target.name,
                    result.target.case,
                    time_of(result.target.limit_s),
                    count_of(result.target.rows),
                    count_of(result.rows) if result.rows else "-",
                    spread_of(result.timing) if result.timing.runs_s else "-",
                    f"**{result.verdict}**",
                )
                for result in self.targets
            ],
        )

    def _cases(self) -> Iterator[str]:
        names = [name for name in ENGINES if any(case.of(name) for case in self.cases)]
        lines = [(case.meaning, *(_cell(case, name) for name in names)) for case in self.cases]
        yield from table_of(("question", *names), lines)
        wrong = [(case, timing) for case in self.cases for timing in case.timings if timing.error]
        if wrong:
            yield ""
        for case, timing in wrong:
            yield f"- {case.name} on {timing.engine} was not timed: {timing.error}"

    def _stores(self) -> Iterator[str]:
        ingest, sizes, loads = self.ingest, self.sizes, self.loads
        yield from table_of(
            ("measure", "value"),
            [
                (
                    f"ingest of {count_of(self.ingest_rows)} CDX lines (gzip), dual write, indexes on; median of three",
                    f"{count_of(round(ingest.captures_per_s))} captures/s in {time_of(ingest.elapsed_s)}",
                ),
                (
                    "of its lines",
                    f"{count_of(ingest.stored)} stored, {count_of(ingest.rejected)} rejected",
                ),
                ("its peak memory, without the server", bytes_of(ingest.peak_memory_bytes)),
                (
                    "the same file again",
                    f"{count_of(ingest.second_stored)} stored ({time_of(ingest.second_elapsed_s)})",
                ),
                (
                    "lake alone, drawing included",
                    f"{count_of(round(self.rows / loads.lake_s))} captures/s ({time_of(loads.lake_s)})",
                ),
                (
                    "PostgreSQL alone by COPY, drawing and VACUUM included",
                    f"{count_of(round(self.rows / loads.postgres_s))} captures/s ({time_of(loads.postgres_s)})",
                ),
                (
                    "merging the lake's files",
                    f"{count_of(loads.compaction_files)} files in {time_of(loads.compaction_s)}",
                ),
                ("for which commits would have waited, at most", time_of(loads.compaction_swap_s)),
                ("lake", f"{bytes_of(sizes.lake_bytes)} in {count_of(sizes.lake_files)} files"),
                (
                    "PostgreSQL with indexes",
                    f"{bytes_of(sizes.postgres_bytes)} (table alone {bytes_of(sizes.postgres_table_bytes)})",
                ),
                ("one sorted Parquet file", bytes_of(sizes.sorted_file_bytes)),
                ("the lake is smaller than PostgreSQL by", f"{sizes.saved:.1%}"),
                ("peak memory of the measuring process", bytes_of(self.peak_memory_bytes)),
            ],
        )
        yield ""
        yield (
            "PostgreSQL and the lake of the questions are filled straight from generated tables (COPY and"
            " `Lake.append`), not by the ingest, which is measured apart in a home of its own."
        )


def _case_document(case: CaseResult) -> dict[str, Any]:
    return {
        "name": case.name,
        "meaning": case.meaning,
        "fingerprint": list(case.fingerprint),
        "timings": [
            {
                "engine": timing.engine,
                "median_s": timing.median_s,
                "min_s": timing.min_s,
                "max_s": timing.max_s,
                "runs_s": list(timing.runs_s),
                "ratio_to_duckdb_file": case.ratio(timing.engine, BASE),
                "error": timing.error,
            }
            for timing in case.timings
        ],
    }


def _cell(case: CaseResult, engine: str) -> str:
    timing = case.of(engine)
    if timing is None:
        return "-"
    if timing.median_s is None:
        return "not timed"
    ratio = case.ratio(engine, BASE)
    text = spread_of(timing)
    return text if ratio is None or engine == BASE else f"{text}, {ratio:.1f}x"
