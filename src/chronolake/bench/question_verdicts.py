"""What the questions must reach, and whether they did: pure, from figures to verdicts.

A limit that holds at one scale is judged at that scale or a larger one; below it no figure speaks for it. What was
not measured, or not as it was meant to be, is told so and never counts as met.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from chronolake.bench.catalogue import Asked, median_ratio
from chronolake.bench.http_trials import HttpTrial
from chronolake.bench.load import Load
from chronolake.bench.refresh_trials import Refresh
from chronolake.bench.timing import CaseResult
from chronolake.bench.writing import count_of, time_of

OURS, BARE, POSTGRES, CLICKHOUSE = "lake", "duckdb_file", "postgres", "clickhouse"
EXPORTER = "exporter"

TIMELINE_P50_S, TIMELINE_P95_S = 0.015, 0.040
#: To bare DuckDB over one sorted file.
MOST_TO_BARE = 1.5
CONTENT_S, CONTENT_ROWS = 0.050, 10_000_000
CROSS_PROJECT_S, CROSS_PROJECT_ROWS = 0.100, 50_000_000
#: PostgreSQL to the lake: of the middle question, and of every one.
MEDIAN_RATIO, LEAST_RATIO = 20.0, 1.0
#: Of the five questions, on how many the lake is at least as fast as ClickHouse, and how much slower on any.
CLICKHOUSE_AT_LEAST, MOST_TO_CLICKHOUSE = 3, 2.0
CACHED_S = 0.003
LOAD_PER_S, LOAD_P99_S = 300.0, 0.250
#: Of what the ingest was to bring meanwhile, the share that it must have brought, or the load was another one.
INGEST_SHARE = 0.95
PARQUET_S, CSV_S = 6.0, 8.0
BARE_TO_PARQUET, POSTGRES_TO_OURS = 2.0, 5.0
REFRESH_S = 2.0


@dataclass(frozen=True)
class Verdict:
    """One measure. `met` is null where it cannot be judged; `why` tells the reason, or what to know beside."""

    measure: str
    must_reach: str
    found: str
    met: bool | None
    why: str = ""

    @property
    def words(self) -> str:
        """The verdict for readers."""
        if self.met is None:
            return f"not judged: {self.why}"
        verdict = "met" if self.met else "not met"
        return f"{verdict}: {self.why}" if self.why else verdict


def of_rolled_timeline(trial: HttpTrial) -> Verdict:
    """The timeline from a rollup."""
    median, p95 = trial.timing.median_s, trial.timing.p95_s
    met = median is not None and p95 is not None and median < TIMELINE_P50_S and p95 < TIMELINE_P95_S
    return _uncached(
        trial,
        Verdict(
            "domain timeline over HTTP, uncached, rollup allowed",
            f"p50 under {time_of(TIMELINE_P50_S)}, p95 under {time_of(TIMELINE_P95_S)}",
            f"p50 {time_of(median)}, p95 {time_of(p95)}",
            met,
        ),
    )


def of_plain_timeline(http: HttpTrial, bare: HttpTrial) -> Verdict:
    """The timeline from the captures, HTTP and all, beside bare DuckDB."""
    ratio = _over(http.timing.median_s, bare.timing.median_s)
    return _uncached(
        http,
        Verdict(
            "domain timeline over HTTP without rollups, beside bare DuckDB",
            f"at most {MOST_TO_BARE:g}x",
            f"{time_of(http.timing.median_s)} to {time_of(bare.timing.median_s)}, {_times(ratio)}",
            None if ratio is None else ratio <= MOST_TO_BARE,
        ),
    )


def of_scans(cases: tuple[CaseResult, ...]) -> Iterator[Verdict]:
    """The design's five questions by the lake, beside bare DuckDB."""
    for case in cases:
        ratio = case.ratio(OURS, BARE)
        yield Verdict(
            f"{case.meaning}: the lake beside bare DuckDB",
            f"at most {MOST_TO_BARE:g}x",
            f"{_median(case, OURS)} to {_median(case, BARE)}, {_times(ratio)}",
            None if ratio is None else ratio <= MOST_TO_BARE,
            "" if ratio is not None else _error(case, OURS, BARE),
        )


def of_aggregations(content: HttpTrial, cross_project: HttpTrial, rows: int) -> Iterator[Verdict]:
    """Content aggregation and the cross-project question, each at its scale."""
    for name, trial, limit_s, scale in (
        ("content aggregation (archive_sources_comparison)", content, CONTENT_S, CONTENT_ROWS),
        ("cross-project (project_mime)", cross_project, CROSS_PROJECT_S, CROSS_PROJECT_ROWS),
    ):
        median = trial.timing.median_s
        met: bool | None = median is not None and median < limit_s
        why = ""
        if met and rows < scale:
            met, why = None, f"{count_of(rows)} captures do not speak for {count_of(scale)}"
        yield _uncached(
            trial,
            Verdict(
                f"{name} over HTTP, uncached, rollup allowed",
                f"p50 under {time_of(limit_s)} at {count_of(scale)}",
                f"p50 {time_of(median)}, p95 {time_of(trial.timing.p95_s)} at {count_of(rows)}",
                met,
                why,
            ),
        )


def of_catalogue(asked: tuple[Asked, ...]) -> Verdict:
    """The whole catalogue as the router answers it, beside PostgreSQL."""
    middle = median_ratio(asked)
    failed = [one.question for one in asked if one.ratio is None]
    ratios = {one.question: one.ratio for one in asked if one.ratio is not None}
    slower = [name for name, ratio in ratios.items() if ratio < LEAST_RATIO]
    least = min(ratios, key=lambda name: ratios[name], default="")
    why = f"slower than PostgreSQL: {', '.join(slower)}" if slower else ""
    met: bool | None = middle is not None and middle >= MEDIAN_RATIO and not slower
    if failed and met is not False:
        met, why = None, f"no times of {', '.join(failed)}"
    plain = statistics.median([one.lake_ratio for one in asked if one.lake_ratio is not None] or [0.0])
    return Verdict(
        f"every question of the catalogue ({len(asked)}), PostgreSQL to the router's choice, uncached",
        f"median ratio at least {MEDIAN_RATIO:g}x, none under {LEAST_RATIO:g}x",
        f"median {_times(middle)}, least {_times(ratios.get(least))} ({least});"
        f" from the captures alone, median {_times(plain)}",
        met,
        why,
    )


def of_clickhouse(cases: tuple[CaseResult, ...], missing: str | None) -> Verdict:
    """The five questions, the lake beside ClickHouse."""
    ratios = [ratio for case in cases if (ratio := case.ratio(OURS, CLICKHOUSE)) is not None]
    fast = sum(ratio <= 1 for ratio in ratios)
    slowest = max(ratios, default=None)
    met: bool | None = None
    why = missing or ""
    if len(ratios) == len(cases) and slowest is not None:
        met = fast >= CLICKHOUSE_AT_LEAST and slowest <= MOST_TO_CLICKHOUSE
    elif not why:
        why = "; ".join(
            _error(case, OURS, CLICKHOUSE) for case in cases if case.ratio(OURS, CLICKHOUSE) is None
        )
    return Verdict(
        "ClickHouse on the five questions",
        f"the lake at least as fast on {CLICKHOUSE_AT_LEAST}, none over {MOST_TO_CLICKHOUSE:g}x slower",
        "-" if slowest is None else f"as fast on {fast}, slowest {_times(slowest)}",
        met,
        why,
    )


def of_cached(in_process: HttpTrial, over_http: HttpTrial) -> Verdict:
    """A cached answer."""
    median = in_process.timing.median_s
    verdict = Verdict(
        "cached answer, in process",
        f"p50 under {time_of(CACHED_S)}",
        f"p50 {time_of(median)}, p95 {time_of(in_process.timing.p95_s)}"
        f" (over HTTP p50 {time_of(over_http.timing.median_s)}, p95 {time_of(over_http.timing.p95_s)})",
        median is not None and median < CACHED_S,
    )
    if in_process.all_from("cache") and over_http.all_from("cache"):
        return verdict
    return _not_judged(verdict, "some answers did not come from the cache")


def of_load(load: Load, ingest_per_s: float) -> Verdict:
    """The dashboards' load beside an ingest."""
    p99 = load.timing.quantile_s(0.99)
    errors = sum(load.errors.values())
    met = load.per_s >= LOAD_PER_S and p99 is not None and p99 < LOAD_P99_S and not errors
    verdict = Verdict(
        f"dashboards' load: {load.clients} clients beside an ingest of {ingest_per_s:g} captures/s",
        f"at least {LOAD_PER_S:g} requests/s, p99 under {time_of(LOAD_P99_S)}, no error",
        f"{load.per_s:.0f} requests/s, p99 {time_of(p99)}, {errors} errors; {load.ingested.per_s:.0f} captures/s",
        met,
    )
    if load.ingested.error is not None:
        return _not_judged(verdict, f"the ingest ended: {load.ingested.error}")
    if load.ingested.per_s < INGEST_SHARE * ingest_per_s:
        return _not_judged(verdict, "the ingest did not keep its pace")
    return verdict


def of_exports(parquet: CaseResult, csv: CaseResult, rows: int) -> Iterator[Verdict]:
    """Exports by us, beside those of DuckDB and PostgreSQL."""
    for case, name, limit_s in ((parquet, "Parquet", PARQUET_S), (csv, "CSV", CSV_S)):
        timing = case.of(EXPORTER)
        median = None if timing is None else timing.median_s
        met: bool | None = None if median is None else median < limit_s
        why = _error(case, EXPORTER) if median is None else ""
        if met and rows < CONTENT_ROWS:
            met, why = None, f"{count_of(rows)} captures do not speak for {count_of(CONTENT_ROWS)}"
        yield Verdict(
            f"export of all captures, {name}",
            f"under {time_of(limit_s)} at {count_of(CONTENT_ROWS)}",
            time_of(median),
            met,
            why,
        )
    yield _faster("Parquet export beside DuckDB's COPY", parquet, BARE, BARE_TO_PARQUET)
    yield _faster("Parquet export beside PostgreSQL's COPY", parquet, POSTGRES, POSTGRES_TO_OURS)
    yield _faster("CSV export beside PostgreSQL's COPY", csv, POSTGRES, POSTGRES_TO_OURS)


def of_refreshes(refreshes: tuple[Refresh, ...]) -> Iterator[Verdict]:
    """Rollups made true again after scattered changes."""
    for one in refreshes:
        differs = "" if one.equal else "the cells differ from those of a rebuild"
        yield Verdict(
            f"rollup of {one.question} after {count_of(one.changes)} changes",
            f"under {time_of(REFRESH_S)}, cells as of a rebuild",
            f"{time_of(one.refreshed_s)} for {count_of(one.touched_cells)} of {count_of(one.cells)} cells",
            one.refreshed_s < REFRESH_S and one.equal,
            differs,
        )


def _uncached(trial: HttpTrial, verdict: Verdict) -> Verdict:
    """The verdict, unless an answer came from the cache, which was to have none."""
    places = ", ".join(f"{count} from {place}" for place, count in sorted(trial.came_from.items()))
    told = Verdict(
        verdict.measure, verdict.must_reach, f"{verdict.found} ({places})", verdict.met, verdict.why
    )
    return _not_judged(told, "an answer came from the cache") if trial.came_from.get("cache") else told


def _not_judged(verdict: Verdict, why: str) -> Verdict:
    return Verdict(verdict.measure, verdict.must_reach, verdict.found, None, why)


def _faster(measure: str, case: CaseResult, than: str, least: float) -> Verdict:
    ratio = case.ratio(than, EXPORTER)
    return Verdict(
        measure,
        f"at least {least:g}x faster",
        f"{_median(case, EXPORTER)} to {_median(case, than)}, {_times(ratio)}",
        None if ratio is None else ratio >= least,
        "" if ratio is not None else _error(case, EXPORTER, than),
    )


def _median(case: CaseResult, engine: str) -> str:
    timing = case.of(engine)
    return time_of(None if timing is None else timing.median_s)


def _error(case: CaseResult, *engines: str) -> str:
    timings = [case.of(engine) for engine in engines]
    return "; ".join(f"{t.engine}: {t.error}" for t in timings if t is not None and t.error) or "not measured"


def _over(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"
