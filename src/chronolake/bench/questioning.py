"""Measure the questions as users meet them: through HTTP on loopback, beside the engines that they are judged by.

One run, in this order: what reads the captures (five questions, the catalogue, exports), the cache, then rollups are
made and asked, then a dashboard's load beside an ingest, then the refresh of rollups. Servers are processes of
their own, one at a time. Nothing of the user's is touched: the home is the run's own, or one that an earlier run
filled.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronolake.bench import (
    catalogue,
    environment,
    export_trials,
    generator,
    http_trials,
    load,
    question_home,
    refresh_trials,
    stores,
)
from chronolake.bench.catalogue import Asked
from chronolake.bench.engines import ClickHouse, DuckDBFile, Engine, LakeSql, chdb_missing, open_bare
from chronolake.bench.http_trials import HttpTrial
from chronolake.bench.load import Load
from chronolake.bench.question_home import INGEST_PROJECT, QuestionHome
from chronolake.bench.question_report import MadeRollup, QuestionReport
from chronolake.bench.questions import QUESTIONS, BenchQuestion, fingerprint
from chronolake.bench.runner import SEED, TOLD, own_settings
from chronolake.bench.serving import serving
from chronolake.bench.timing import Case, CaseResult, Fingerprint, measure
from chronolake.clock import Clock, SystemClock
from chronolake.errors import InputError, ParameterInvalid, StorageFull
from chronolake.lake.engine import Engine as DuckDBEngine
from chronolake.query import HybridQueryRouter, QueryOptimizer
from chronolake.services import open_services
from chronolake.settings import Settings, show
from chronolake.settings import environment as as_environment
from chronolake.settings import load as load_settings

#: What a capture takes in all stores and files of a run, an export to CSV among them.
BYTES_PER_ROW = 2500
#: How many domains are larger than the one that the catalogue is asked about, and than the first of the timelines.
LARGER_DOMAINS = 20
#: Questions that have limits of their own; the rollups of two are also refreshed after changes.
CONTENT, CROSS_PROJECT = "archive_sources_comparison", "project_mime"
REFRESHED = (http_trials.TIMELINE, CONTENT)
#: The engine whose answers the others are compared with.
_REFERENCE = DuckDBFile.name


@dataclass(frozen=True)
class _Run:
    """What the trials of one run stand on. `bare` and `file` are bare DuckDB over the one sorted file."""

    home: QuestionHome
    settings: Settings
    scratch: Path
    bare: DuckDBEngine
    file: DuckDBFile
    repeat: int
    seed: int
    clock: Clock
    told: Callable[[str], None]

    @property
    def domain(self) -> str:
        """The domain that is asked about."""
        return _one_domain(self.home)[0]


@dataclass(frozen=True)
class _Captures:
    """What reads the captures, in this process."""

    scans: tuple[CaseResult, ...]
    catalogue: tuple[Asked, ...]
    proposed: tuple[MadeRollup, ...]
    parquet: CaseResult
    csv: CaseResult


@dataclass(frozen=True)
class _Uncached:
    """What a server without a cache answered, and the rollups that were made for some of it."""

    floor: HttpTrial
    plain: HttpTrial
    bare: HttpTrial
    rolled: HttpTrial
    content: HttpTrial
    cross_project: HttpTrial
    rollups: tuple[MadeRollup, ...]
    not_rolled_up: tuple[str, ...]


def run(
    *,
    rows: int,
    out: Path,
    settings: Settings,
    clients: int,
    seconds: float,
    repeat: int,
    home: Path | None = None,
    changes: int = refresh_trials.CHANGES,
    seed: int = SEED,
    clock: Clock | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> QuestionReport:
    """Measure on `rows` captures, and write `questions-<rows>.md` and `.json` into `out`.

    `home` is kept for another run, and taken as it is where an earlier one filled it with the same captures; without
    it the home goes when the run ends. `told` is told what is done now: a run takes many minutes.

    Raises:
        StorageFull: there is not the room that this will take; nothing was begun.
        InputError: `home` holds something else.
        ChronolakeError: the run's own PostgreSQL, lake or server failed.
    """
    clock = clock or SystemClock()
    command = f"chronolake bench questions --rows {rows} --clients {clients} --seconds {seconds:g} --repeat {repeat}"
    with _folder(settings, home, rows) as folder:
        # What is measured is the lake; only the catalogue's choosing router may go elsewhere.
        own = own_settings(
            settings,
            folder,
            CHRONOLAKE_QUERY_TIMEOUT_S=catalogue.DEADLINE_S,
            CHRONOLAKE_POSTGRES_CHEAP_ROWS=0,
        )
        with open_services(own) as services, _scratch(folder) as scratch, ExitStack() as stack:
            told("filling the home")
            found = question_home.ready(services, folder, rows=rows, seed=seed, clock=clock)
            held = stores.held(found.lake)
            bare = open_bare(own)
            stack.callback(bare.close)
            file = DuckDBFile(bare, found.sorted_file)
            on = _Run(found, own, scratch, bare, file, repeat, seed, clock, told)
            captures = _of_captures(on)
            in_process, over_http = _cached(on)
            uncached = _uncached(on)
            loaded = _load(on, clients, seconds)
            told("refreshing rollups")
            refreshes = refresh_trials.run(found, REFRESHED, changes=changes, seed=seed)
            domain, domain_captures = _one_domain(found)
            report = QuestionReport(
                rows=rows,
                seed=seed,
                repeat=repeat,
                clients=clients,
                seconds=seconds,
                date=clock.now(),
                command=command,
                environment=environment.describe(),
                settings={line.variable: line.value for line in show(own) if line.variable in TOLD},
                domain=domain,
                domain_captures=domain_captures,
                lake_bytes=held.bytes,
                lake_files=held.files,
                filled=found.filled,
                scans=captures.scans,
                catalogue=captures.catalogue,
                proposed=captures.proposed,
                floor=uncached.floor,
                timeline_plain=uncached.plain,
                timeline_bare=uncached.bare,
                timeline_rolled=uncached.rolled,
                content=uncached.content,
                cross_project=uncached.cross_project,
                cached_in_process=in_process,
                cached_over_http=over_http,
                load=loaded,
                parquet=captures.parquet,
                csv=captures.csv,
                rollups=uncached.rollups,
                not_rolled_up=uncached.not_rolled_up,
                refreshes=refreshes,
                clickhouse=chdb_missing(),
                peak_memory_bytes=generator.peak_memory_bytes(),
            )
    _write(report, out)
    return report


def _of_captures(on: _Run) -> _Captures:
    """What reads the captures and no rollup, while no server runs."""
    services = on.home.services
    on.told("asking the five questions")
    with ExitStack() as stack:
        engines: dict[str, Engine] = {LakeSql.name: LakeSql(on.home.lake), on.file.name: on.file}
        if chdb_missing() is None:
            clickhouse = ClickHouse(on.scratch / "clickhouse", on.home.sorted_file)
            stack.callback(clickhouse.close)
            engines[clickhouse.name] = clickhouse
        scans = tuple(
            measure(_case(question, engines, on.domain), on.repeat, _REFERENCE, on.clock)
            for question in QUESTIONS
        )
    asked, proposed = _catalogue(on)
    on.told("exporting")
    folder = on.scratch / "exports"
    parquet, csv = export_trials.run(services, folder, bare=on.bare, file=on.file, clock=on.clock)
    return _Captures(scans, asked, proposed, parquet, csv)


def _catalogue(on: _Run) -> tuple[tuple[Asked, ...], tuple[MadeRollup, ...]]:
    """The catalogue, and the rollups that the optimizer proposed after each question was asked once; they go again."""
    services = on.home.services
    projects = [stores.PROJECT_NAME.format(number=number) for number in (1, 2)]
    variables = as_environment(on.settings)
    del variables["CHRONOLAKE_POSTGRES_CHEAP_ROWS"]
    settings = load_settings(variables, CHRONOLAKE_CACHE_BYTES="0")

    def choosing() -> HybridQueryRouter:
        return HybridQueryRouter(database=services.database, lake=on.home.lake, settings=settings)

    on.told("asking the catalogue once")
    # What was asked is written down by the time that the router is closed.
    with choosing() as router:
        catalogue.ask_each(router, domain=on.domain, projects=projects)
    on.told("making the rollups that are proposed")
    proposals = services.optimizer.advise()
    made = services.optimizer.apply(proposals)
    on.told("asking the catalogue")
    with choosing() as router:
        asked = catalogue.measure(
            services.router, router, domain=on.domain, projects=projects, clock=on.clock
        )
    for refreshed in made:
        services.optimizer.drop(refreshed.name)
    questions = {proposal.candidate.rollup.name: proposal.candidate.asked for proposal in proposals}
    return asked, tuple(MadeRollup(questions[one.name], one.cells, one.seconds) for one in made)


def _uncached(on: _Run) -> _Uncached:
    """What a server without a cache answers: from the captures, then, once they are made, from rollups."""
    timelines = _timelines(on.home, on.repeat)
    with (
        serving(on.settings, on.scratch / "uncached.log", CHRONOLAKE_CACHE_BYTES="0") as server,
        server.client() as client,
    ):
        on.told("asking over HTTP, from the captures")
        floor = http_trials.floor(client, on.repeat)
        plain, alone = http_trials.beside_bare(client, server, on.bare, timelines)
        on.told("making rollups")
        made, not_made = _rollups(on.home.services.optimizer)
        on.told("asking over HTTP, from rollups")
        warm, *others = ({"domain": domain} for domain in [on.home.domains[0][0], *timelines])
        rolled = http_trials.asked(client, server, http_trials.TIMELINE, others, warm=warm)
        content, cross_project = (
            http_trials.asked(client, server, name, [{}] * on.repeat, warm={})
            for name in (CONTENT, CROSS_PROJECT)
        )
    return _Uncached(floor, plain, alone, rolled, content, cross_project, made, not_made)


def _cached(on: _Run) -> tuple[HttpTrial, HttpTrial]:
    """What the cache answers, in this process and over HTTP, while there is no rollup that could."""
    params = {"domain": on.domain}
    on.told("asking the cache")
    in_process = http_trials.cached_in_process(on.home.services.router, params, on.repeat)
    with serving(on.settings, on.scratch / "cached.log") as server, server.client() as client:
        again = [params] * on.repeat
        return in_process, http_trials.asked(client, server, http_trials.TIMELINE, again, warm=params)


def _load(on: _Run, clients: int, seconds: float) -> Load:
    """How a server with cache and rollups bears a load."""
    on.told("bearing the load")
    with serving(on.settings, on.scratch / "load.log") as server:
        return load.measure(
            server,
            on.settings,
            on.scratch,
            domains=[name for name, _ in on.home.domains],
            clients=clients,
            seconds=seconds,
            project=INGEST_PROJECT,
            seed=on.seed,
        )


def _case(question: BenchQuestion, engines: dict[str, Engine], domain: str) -> Case:
    parameters = {"domain": domain} if question.by_domain else {}

    def asked(engine: Engine) -> Fingerprint:
        return fingerprint(engine.answer(question, parameters), question.checked)

    works = {name: (lambda engine=engine: asked(engine)) for name, engine in engines.items()}
    return Case(question.name, question.meaning, works)


def _rollups(optimizer: QueryOptimizer) -> tuple[tuple[MadeRollup, ...], tuple[str, ...]]:
    """Make the rollups of all that is asked from here on; those made, and the questions that none serves."""
    made, none = [], []
    for name in dict.fromkeys([*REFRESHED, CROSS_PROJECT, *load.MIX]):
        try:
            wanted = optimizer.rollups_for(name, {}, by_project=False)
        except ParameterInvalid:
            none.append(name)
            continue
        done = optimizer.make(wanted)
        made.append(MadeRollup(name, sum(one.cells for one in done), sum(one.seconds for one in done)))
    return tuple(made), tuple(none)


def _one_domain(home: QuestionHome) -> tuple[str, int]:
    """The domain that is asked about: large, but no giant."""
    return home.domains[min(LARGER_DOMAINS, len(home.domains) - 1)]


def _timelines(home: QuestionHome, repeat: int) -> list[str]:
    """As many domains as there are runs, from that one on."""
    first = min(LARGER_DOMAINS, max(0, len(home.domains) - repeat))
    chosen = [name for name, _ in home.domains[first : first + repeat]]
    if len(chosen) < repeat:
        raise InputError(
            f"there are {len(home.domains)} domains, and each of {repeat} requests is for another",
            hint="Ask for more --rows or a smaller --repeat.",
        )
    return chosen


@contextmanager
def _folder(settings: Settings, home: Path | None, rows: int) -> Iterator[Path]:
    """The folder of the home: the one that is named and stays, or one of this run that goes."""
    folder = home.expanduser().resolve() if home else settings.home.root / f"bench-questions-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=home is not None)
    try:
        free, need = shutil.disk_usage(folder).free, rows * BYTES_PER_ROW
        if free < need:
            raise StorageFull(
                f"the benchmark will take about {need / 1e9:.1f} GB in {folder}, of which {free / 1e9:.1f} GB are free",
                hint="Ask for fewer --rows, or name a --home on another disk.",
            )
        yield folder
    finally:
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for what one run needs, gone when it ends."""
    scratch = folder / f"run-{os.getpid()}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(report: QuestionReport, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stem = f"questions-{report.rows}"
    (out / f"{stem}.md").write_text(report.markdown(), encoding="utf-8")
    text = json.dumps(report.document(), indent=2, ensure_ascii=False)
    (out / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
