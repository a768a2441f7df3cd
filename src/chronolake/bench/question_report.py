"""What the benchmark of the questions found, as a JSON document and as Markdown that is read without it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from chronolake.bench import question_verdicts as verdicts
from chronolake.bench.catalogue import Asked
from chronolake.bench.environment import Environment
from chronolake.bench.http_trials import HttpTrial
from chronolake.bench.load import BATCH_ROWS, INGEST_PER_S, MAX_LAG_S, MIX, Load
from chronolake.bench.question_home import Filled
from chronolake.bench.question_verdicts import Verdict
from chronolake.bench.refresh_trials import Refresh
from chronolake.bench.report import ENGINES
from chronolake.bench.timing import CaseResult, Timing
from chronolake.bench.writing import about_of, bytes_of, count_of, spread_of, table_of, time_of


@dataclass(frozen=True)
class MadeRollup:
    """What a question is answered from: cells, and seconds to make them."""

    question: str
    cells: int
    seconds: float


@dataclass(frozen=True)
class QuestionReport:
    """Everything a run found."""

    rows: int
    seed: int
    repeat: int
    clients: int
    seconds: float
    date: datetime
    command: str
    environment: Environment
    settings: Mapping[str, str]
    domain: str
    domain_captures: int
    lake_bytes: int
    lake_files: int
    filled: Filled
    scans: tuple[CaseResult, ...]
    catalogue: tuple[Asked, ...]
    floor: HttpTrial
    timeline_plain: HttpTrial
    timeline_bare: HttpTrial
    timeline_rolled: HttpTrial
    content: HttpTrial
    cross_project: HttpTrial
    cached_in_process: HttpTrial
    cached_over_http: HttpTrial
    load: Load
    parquet: CaseResult
    csv: CaseResult
    proposed: tuple[MadeRollup, ...]
    rollups: tuple[MadeRollup, ...]
    not_rolled_up: tuple[str, ...]
    refreshes: tuple[Refresh, ...]
    clickhouse: str | None
    peak_memory_bytes: int

    def verdicts(self) -> tuple[Verdict, ...]:
        """Each measure with what it must reach."""
        return (
            verdicts.of_rolled_timeline(self.timeline_rolled),
            verdicts.of_plain_timeline(self.timeline_plain, self.timeline_bare),
            *verdicts.of_scans(self.scans),
            *verdicts.of_aggregations(self.content, self.cross_project, self.rows),
            verdicts.of_catalogue(self.catalogue),
            verdicts.of_clickhouse(self.scans, self.clickhouse),
            verdicts.of_cached(self.cached_in_process, self.cached_over_http),
            verdicts.of_load(self.load, INGEST_PER_S),
            *verdicts.of_exports(self.parquet, self.csv, self.rows),
            *verdicts.of_refreshes(self.refreshes),
        )

    def document(self) -> dict[str, Any]:
        """The report as JSON values; times in seconds, sizes in bytes."""
        document = asdict(self)
        document["date"] = self.date.isoformat()
        document["verdicts"] = [asdict(verdict) | {"verdict": verdict.words} for verdict in self.verdicts()]
        document["catalogue"] = [
            asdict(one)
            | {
                "lake_median_s": one.lake.median_s,
                "postgres_median_s": one.postgres.median_s,
                "routed_median_s": one.routed.median_s,
                "lake_ratio": one.lake_ratio,
                "ratio": one.ratio,
            }
            for one in self.catalogue
        ]
        document["load"] = _load_document(self.load)
        return document

    def markdown(self) -> str:
        """The report for readers."""
        return "\n".join(
            [
                f"# The questions on {count_of(self.rows)} captures",
                "",
                *self._about(),
                "",
                "## What they must reach",
                "",
                *self._verdicts(),
                "",
                "## The design's five questions and the exports",
                "",
                "Median (fastest to slowest).",
                "",
                *self._scans(),
                "",
                *self._exports(),
                "",
                "## Over HTTP",
                "",
                *self._http(),
                "",
                "## The dashboards' load",
                "",
                *self._load(),
                "",
                "## Rollups",
                "",
                *self._rollups(),
                "",
                "## The catalogue",
                "",
                *self._about_the_catalogue(),
                "",
                *self._catalogue(),
                "",
            ]
        )

    def _about(self) -> Iterator[str]:
        yield from about_of(
            self.environment, date=self.date, command=self.command, seed=self.seed, settings=self.settings
        )
        yield (
            f"- {self.repeat} timed runs of each; engines that are compared take turns; where two are not compared,"
            " one run warms"
        )
        yield f"- the one domain: `{self.domain}` with {count_of(self.domain_captures)} captures"
        yield f"- lake: {bytes_of(self.lake_bytes)} in {count_of(self.lake_files)} files; {_filled(self.filled)}"
        if self.clickhouse:
            yield f"- ClickHouse was not measured: {self.clickhouse}"
        yield f"- peak memory of the measuring process: {bytes_of(self.peak_memory_bytes)}"

    def _verdicts(self) -> Iterator[str]:
        yield from table_of(
            ("measure", "must reach", "found", "verdict"),
            [(each.measure, each.must_reach, each.found, f"**{each.words}**") for each in self.verdicts()],
        )

    def _scans(self) -> Iterator[str]:
        names = [name for name in ENGINES if any(case.of(name) for case in self.scans)]
        yield from table_of(
            ("question", *names),
            [(case.meaning, *(_cell(case.of(name)) for name in names)) for case in self.scans],
        )

    def _exports(self) -> Iterator[str]:
        yield from table_of(
            ("export", "our exporter", "DuckDB's COPY of one sorted file", "PostgreSQL's COPY (CSV)"),
            [
                (
                    case.meaning,
                    *(_cell(case.of(name)) for name in (verdicts.EXPORTER, verdicts.BARE, verdicts.POSTGRES)),
                )
                for case in (self.parquet, self.csv)
            ],
        )

    def _http(self) -> Iterator[str]:
        yield (
            "One client that keeps its connection (httpx) asks one question after the other; its own work is in every"
            " time, and the first line says what a request costs that asks nothing. Where uncached is said, the server"
            " runs with CHRONOLAKE_CACHE_BYTES=0 and each timeline is of another domain; where each answer came from is"
            " what its `meta` says (`cached`, `rollups`, `engine`)."
        )
        yield ""
        yield from table_of(
            ("asked", "p50", "p95", "slowest", "came from"),
            [
                (name, *_quantiles(trial.timing), _places(trial.came_from))
                for name, trial in (
                    ("`/health/live`", self.floor),
                    ("domain timeline, `engine=duckdb`, uncached", self.timeline_plain),
                    ("the same by bare DuckDB over one sorted file, without HTTP", self.timeline_bare),
                    ("domain timeline, uncached, rollup allowed", self.timeline_rolled),
                    ("archive_sources_comparison, uncached, rollup allowed", self.content),
                    ("project_mime, uncached, rollup allowed", self.cross_project),
                    ("domain timeline again and again", self.cached_over_http),
                    ("the same from the router in the asking process", self.cached_in_process),
                )
            ],
        )

    def _load(self) -> Iterator[str]:
        load = self.load
        mix = ", ".join(f"{name} {share:.0%}" for name, share in MIX.items())
        yield (
            f"{load.clients} clients in a process of their own, each of which asks again as soon as it is answered"
            f" (`max_lag={MAX_LAG_S}`; domains by Zipf's law): {mix}. Beside them a process ingests by the ordinary"
            f" pipeline, {BATCH_ROWS} captures a transaction, and the server brings these to the lake and keeps the"
            f" rollups true. All share {self.environment.cores} cores: the clients' own work,"
            f" {load.client_cpu_s:.1f} s of processor time, is taken from what is measured."
        )
        yield ""
        yield from table_of(
            ("measure", "value"),
            [
                ("answers", f"{count_of(load.answered)} in {load.seconds:g} s"),
                ("answers a second", f"{load.per_s:.0f}"),
                (
                    "p50, p95, p99, slowest",
                    ", ".join(time_of(load.timing.quantile_s(share)) for share in (0.5, 0.95, 0.99, 1.0)),
                ),
                ("errors", _places(load.errors) if load.errors else "0"),
                ("answers came from", _places(load.came_from)),
                (
                    "captures ingested meanwhile",
                    f"{count_of(load.ingested.stored)}, {load.ingested.per_s:.0f} a second",
                ),
                ("processor time of the server, without PostgreSQL's", time_of(load.server_cpu_s)),
                (
                    "peak memory of the server, resident, without PostgreSQL's",
                    f"{load.server_peak_mb:.0f} MiB",
                ),
            ],
        )
        yield ""
        yield from table_of(
            ("question", "requests", "p50", "p95", "p99"),
            [
                (
                    name,
                    count_of(len(timing.runs_s)),
                    *(time_of(timing.quantile_s(share)) for share in (0.5, 0.95, 0.99)),
                )
                for name, timing in load.by_question.items()
            ],
        )

    def _rollups(self) -> Iterator[str]:
        yield from table_of(
            ("made for", "cells", "made in"),
            [(made.question, count_of(made.cells), time_of(made.seconds)) for made in self.rollups],
        )
        for name in self.not_rolled_up:
            yield ""
            yield f"No rollup serves {name}."
        yield ""
        yield from table_of(
            ("refreshed", "changes", "cells computed anew", "refresh", "rebuild", "equal to the rebuild"),
            [
                (
                    one.question,
                    count_of(one.changes),
                    f"{count_of(one.touched_cells)} of {count_of(one.cells)}"
                    + (", all of them" if one.rebuilt else ""),
                    time_of(one.refreshed_s),
                    time_of(one.rebuild_s),
                    "yes" if one.equal else "**no**",
                )
                for one in self.refreshes
            ],
        )

    def _about_the_catalogue(self) -> Iterator[str]:
        cells = count_of(sum(made.cells for made in self.proposed))
        seconds = time_of(sum(made.seconds for made in self.proposed))
        yield "Each question asked plainly: what it cannot do without, and nothing else. *lake* reads the captures and"
        yield "*postgres* its tables, each named. *routed* is what one gets who names none, without a cache, with the"
        yield f"rollups that were proposed after each question was asked once: {len(self.proposed)} with {cells} cells,"
        yield f"made in {seconds}."

    def _catalogue(self) -> Iterator[str]:
        yield from table_of(
            ("question", "rows", "lake", "postgres", "ratio", "routed", "from", "ratio"),
            [
                (
                    one.question,
                    "-" if one.rows is None else count_of(one.rows),
                    _cell(one.lake),
                    f"over {time_of(one.postgres.median_s)}" if one.stopped else _cell(one.postgres),
                    _ratio(one.lake_ratio, one),
                    _cell(one.routed),
                    one.routed_to or "-",
                    _ratio(one.ratio, one),
                )
                for one in self.catalogue
            ],
        )
        for one in self.catalogue:
            if error := one.postgres.error:
                yield ""
                yield f"- {one.question} was not timed: {error}"


def _load_document(load: Load) -> dict[str, Any]:
    """The load without every single request, of which there are thousands."""
    document = asdict(load)
    shares = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99, "max_s": 1.0}

    def told(timing: Timing) -> dict[str, Any]:
        return {"requests": len(timing.runs_s)} | {
            name: timing.quantile_s(share) for name, share in shares.items()
        }

    del document["timing"]
    return document | {
        "per_s": load.per_s,
        **told(load.timing),
        "by_question": {name: told(timing) for name, timing in load.by_question.items()},
        "ingested_per_s": load.ingested.per_s,
    }


def _filled(filled: Filled) -> str:
    if filled.postgres_s is None:
        return "the home was filled by an earlier run"
    return (
        f"PostgreSQL filled in {time_of(filled.postgres_s)}, copied to the lake in {time_of(filled.lake_s)},"
        f" merged in {time_of(filled.compaction_s)}"
    )


def _ratio(ratio: float | None, asked: Asked) -> str:
    return "-" if ratio is None else ("over " if asked.stopped else "") + f"{ratio:.1f}x"


def _cell(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    return "not timed" if timing.median_s is None else spread_of(timing)


def _quantiles(timing: Timing) -> tuple[str, str, str]:
    return time_of(timing.median_s), time_of(timing.p95_s), time_of(timing.max_s)


def _places(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count_of(count)}" for name, count in sorted(counts.items())) or "-"
