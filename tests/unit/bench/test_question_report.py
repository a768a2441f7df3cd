"""The questions' report, of made-up figures: what is met, what is not, and what nobody can judge."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronolake.bench import question_verdicts as verdicts
from chronolake.bench.catalogue import Asked, alike, median_ratio, plain
from chronolake.bench.environment import Environment
from chronolake.bench.http_trials import HttpTrial, came_from, meta_of
from chronolake.bench.load import MIX, Ingested, Load, requests
from chronolake.bench.question_home import Filled
from chronolake.bench.question_report import MadeRollup, QuestionReport
from chronolake.bench.refresh_trials import Refresh
from chronolake.bench.serving import path_of
from chronolake.bench.timing import CaseResult, Timing
from chronolake.query import QUESTIONS

FLOOR = HttpTrial("floor", Timing("http", (0.001,) * 4))
ROLLED = HttpTrial("domain_timeline", Timing("http", (0.010, 0.011, 0.012, 0.039)), {"rollup": 4})
PLAIN = HttpTrial("domain_timeline", Timing("http", (0.028, 0.030, 0.031)), {"duckdb": 3})
BARE = HttpTrial("domain_timeline", Timing("duckdb_file", (0.020, 0.021, 0.022)), {"duckdb_file": 3})
CACHED = HttpTrial("domain_timeline", Timing("router", (0.001, 0.002, 0.002)), {"cache": 3})


def scan(name, **medians):
    return CaseResult(
        name,
        f"the question {name}",
        (1,),
        tuple(Timing(engine, (time,) * 3) for engine, time in medians.items()),
    )


SCANS = (
    scan("months", lake=0.3, duckdb_file=0.3, clickhouse=0.3),
    scan("source_status", lake=0.3, duckdb_file=0.25, clickhouse=0.4),
    scan("top_domains", lake=0.9, duckdb_file=0.7, clickhouse=1.0),
    scan("project_mime", lake=0.2, duckdb_file=0.18, clickhouse=0.1),
)


def asked(question, *, lake, postgres, routed, **facts):
    timings = {"lake": lake, "postgres": postgres, "routed": routed}
    return Asked(
        question, {}, 3, **{name: Timing(name, (median,) * 3) for name, median in timings.items()}, **facts
    )


CATALOGUE = (
    asked("cadence", lake=0.04, postgres=0.02, routed=0.021, routed_to="postgres"),
    asked("project_mime", lake=0.5, postgres=2.0, routed=0.1, routed_to="rollup"),
    asked("source_overlap", lake=2.0, postgres=60.0, routed=2.0, routed_to="duckdb", stopped=True),
)
LOAD = Load(
    clients=50,
    seconds=54.0,
    answered=18_000,
    timing=Timing("http", (0.05,) * 99 + (0.24,)),
    by_question={"domain_timeline": Timing("http", (0.05,) * 9), "project_summary": Timing("http")},
    came_from={"cache": 60, "rollup": 40},
    errors={},
    client_cpu_s=21.5,
    server_cpu_s=40.25,
    server_peak_mb=512.4,
    ingested=Ingested(stored=60_000, elapsed_s=60.0),
)
PARQUET = CaseResult(
    "export_parquet",
    "export of all captures, Parquet",
    (10_000_000,),
    (Timing("exporter", (1.5,) * 3), Timing("duckdb_file", (5.0,) * 3), Timing("postgres", (12.0,) * 3)),
)
CSV = CaseResult(
    "export_csv",
    "export of all captures, CSV",
    (10_000_000,),
    (Timing("exporter", (7.0,) * 3), Timing("duckdb_file", (8.0,) * 3), Timing("postgres", (12.0,) * 3)),
)
REFRESHES = (
    Refresh(
        "domain_timeline",
        3_000_000,
        9.5,
        10_000,
        8123,
        rebuilt=False,
        refreshed_s=1.5,
        rebuild_s=8.0,
        equal=True,
    ),
    Refresh(
        "archive_sources_comparison",
        30,
        0.7,
        10_000,
        30,
        rebuilt=False,
        refreshed_s=0.8,
        rebuild_s=0.7,
        equal=True,
    ),
)
REPORT = QuestionReport(
    rows=10_000_000,
    seed=1,
    repeat=50,
    clients=50,
    seconds=60.0,
    date=datetime(2025, 6, 1, 12, 30, tzinfo=UTC),
    command="chronolake bench questions --rows 10000000",
    environment=Environment(
        cpu="A CPU",
        cores=2,
        memory_bytes=24_000_000_000,
        system="Debian",
        python="3.11.7",
        versions={"duckdb": "1.5.5", "chdb": None},
        commit="0123456789ab",
    ),
    settings={"DUCKDB_WORKER_THREADS": "4"},
    domain="generated-0000020.com",
    domain_captures=41_246,
    lake_bytes=616_000_000,
    lake_files=18,
    filled=Filled(postgres_s=120.0, lake_s=69.0, compaction_s=20.0, sorted_file_s=30.0),
    scans=SCANS,
    catalogue=CATALOGUE,
    floor=FLOOR,
    timeline_plain=PLAIN,
    timeline_bare=BARE,
    timeline_rolled=ROLLED,
    content=HttpTrial("archive_sources_comparison", Timing("http", (0.02,) * 5), {"rollup": 5}),
    cross_project=HttpTrial("project_mime", Timing("http", (0.03,) * 5), {"rollup": 5}),
    cached_in_process=CACHED,
    cached_over_http=CACHED,
    load=LOAD,
    parquet=PARQUET,
    csv=CSV,
    proposed=(MadeRollup("cadence domain=a.com", 2_000, 0.5), MadeRollup("project_mime", 80, 0.25)),
    rollups=(MadeRollup("domain_timeline", 3_000_000, 9.5),),
    not_rolled_up=("project_summary",),
    refreshes=REFRESHES,
    clickhouse=None,
    peak_memory_bytes=2_000_000_000,
)


def judged(report=REPORT):
    return {verdict.measure: verdict for verdict in report.verdicts()}


def the_one(words, report=REPORT):
    [found] = [verdict for measure, verdict in judged(report).items() if words in measure]
    return found


def http(name, *runs_s, **places):
    return HttpTrial(name, Timing("http", runs_s), places)


def test_each_measure_of_the_report_has_a_verdict():
    assert {measure: verdict.met for measure, verdict in judged().items() if not verdict.met} == {
        # 10 million captures do not speak for 50 million.
        "cross-project (project_mime) over HTTP, uncached, rollup allowed": None,
        "CSV export beside PostgreSQL's COPY": False,
    }
    assert len(judged()) == 2 + len(SCANS) + 2 + 3 + 1 + 5 + len(REFRESHES)


@pytest.mark.parametrize(
    ("runs_s", "met"),
    [
        ((0.010, 0.014, 0.039), True),
        ((0.010, 0.016, 0.030), False),
        ((0.010, 0.010, 0.041), False),
        ((), False),
    ],
)
def test_the_timeline_is_judged_by_its_middle_and_by_its_slow_ones(runs_s, met):
    assert verdicts.of_rolled_timeline(http("domain_timeline", *runs_s, rollup=len(runs_s))).met is met


def test_an_answer_from_the_cache_makes_an_uncached_trial_worth_nothing():
    found = verdicts.of_rolled_timeline(http("domain_timeline", 0.001, 0.001, rollup=1, cache=1))
    assert found.met is None
    assert found.words == "not judged: an answer came from the cache"
    found = verdicts.of_plain_timeline(http("domain_timeline", 0.001, cache=1), BARE)
    assert found.met is None


def test_a_cached_trial_whose_answers_were_computed_is_not_judged():
    found = verdicts.of_cached(CACHED, http("domain_timeline", 0.001, cache=2, rollup=1))
    assert (found.met, found.why) == (None, "some answers did not come from the cache")
    slow = HttpTrial("domain_timeline", Timing("router", (0.004,) * 3), {"cache": 3})
    assert verdicts.of_cached(slow, CACHED).met is False


def test_a_small_scale_can_fail_a_limit_and_never_meets_it():
    small = replace(REPORT, rows=9_999_999)
    found = the_one("content aggregation", small)
    assert (found.met, found.words) == (None, "not judged: 9 999 999 captures do not speak for 10 000 000")
    slow = replace(small, content=http("archive_sources_comparison", 0.2, 0.2, rollup=2))
    assert the_one("content aggregation", slow).met is False
    assert the_one("captures, Parquet", small).met is None
    assert the_one("cross-project", replace(REPORT, rows=50_000_000)).met is True


def test_the_lake_is_judged_beside_bare_duckdb_question_by_question():
    found = list(
        verdicts.of_scans((scan("a", lake=0.15, duckdb_file=0.1), scan("b", lake=0.16, duckdb_file=0.1)))
    )
    assert [verdict.met for verdict in found] == [True, False]
    broken = CaseResult("c", "c", (1,), (Timing("lake", error="wrong answer"), Timing("duckdb_file", (1.0,))))
    [verdict] = verdicts.of_scans((broken,))
    assert (verdict.met, verdict.why) == (None, "lake: wrong answer")


def test_the_catalogue_is_judged_by_the_middle_question_and_by_every_one():
    assert [one.ratio for one in CATALOGUE] == pytest.approx([1.0, 20.0, 30.0])
    assert [one.lake_ratio for one in CATALOGUE] == pytest.approx([0.5, 4.0, 30.0])
    assert median_ratio(CATALOGUE) == pytest.approx(20.0)
    assert verdicts.of_catalogue(CATALOGUE).met is True
    slower = replace(CATALOGUE[0], routed=Timing("routed", (0.03,) * 3), routed_to="duckdb")
    found = verdicts.of_catalogue((slower, *CATALOGUE[1:]))
    assert (found.met, found.words) == (False, "not met: slower than PostgreSQL: cadence")
    differs = replace(
        CATALOGUE[0], routed=Timing("routed"), postgres=Timing("postgres", error="the engines differ")
    )
    found = verdicts.of_catalogue((differs, *CATALOGUE[1:]))
    assert (found.met, found.why) == (None, "no times of cadence")


def test_clickhouse_is_judged_by_all_questions_or_not_at_all():
    assert the_one("ClickHouse").met is True
    slow = (*SCANS[:3], scan("project_mime", lake=0.3, duckdb_file=0.3, clickhouse=0.1))
    assert verdicts.of_clickhouse(slow, None).met is False
    absent = tuple(scan(case.name, lake=0.1, duckdb_file=0.1) for case in SCANS)
    found = verdicts.of_clickhouse(absent, "the package chdb is not installed")
    assert found.words == "not judged: the package chdb is not installed"


@pytest.mark.parametrize(
    ("change", "met", "why"),
    [
        ({}, True, ""),
        ({"answered": 16_000}, False, ""),
        ({"timing": Timing("http", (0.05,) * 90 + (0.3,) * 10)}, False, ""),
        ({"errors": {"503 EngineUnavailable": 1}}, False, ""),
        ({"ingested": Ingested(50_000, 60.0)}, None, "the ingest did not keep its pace"),
        (
            {"ingested": Ingested(60_000, 60.0, "PostgreSQL: gone")},
            None,
            "the ingest ended: PostgreSQL: gone",
        ),
    ],
)
def test_a_load_is_borne_fast_without_errors_and_beside_its_ingest(change, met, why):
    found = verdicts.of_load(replace(LOAD, **change), 1000)
    assert (found.met, found.why) == (met, why)


def test_cells_that_differ_from_a_rebuild_are_no_refresh_however_quick():
    [found] = verdicts.of_refreshes((replace(REFRESHES[0], equal=False),))
    assert found.words == "not met: the cells differ from those of a rebuild"
    [found] = verdicts.of_refreshes((replace(REFRESHES[0], refreshed_s=2.5),))
    assert found.met is False


def test_the_document_is_json_with_every_verdict_and_without_every_request():
    document = json.loads(json.dumps(REPORT.document()))
    assert [verdict["verdict"] for verdict in document["verdicts"]] == [
        each.words for each in REPORT.verdicts()
    ]
    assert document["catalogue"][1]["ratio"] == pytest.approx(20.0)
    assert document["timeline_rolled"]["timing"]["runs_s"] == [0.010, 0.011, 0.012, 0.039]
    load = document["load"]
    assert (load["requests"], load["p50_s"], load["max_s"]) == (100, 0.05, 0.24)
    assert load["per_s"] == pytest.approx(18_000 / 54)
    assert load["by_question"]["project_summary"]["p99_s"] is None
    assert "timing" not in load


def test_markdown_says_what_was_measured_on_what():
    text = REPORT.markdown()
    for words in (
        "# The questions on 10 000 000 captures",
        "chronolake bench questions --rows 10000000",
        "PostgreSQL filled in 120 s, copied to the lake in 69.00 s, merged in 20.00 s",
        "p50 11.5 ms, p95 39.0 ms (4 from rollup) | **met**",
        "30.0 ms to 21.0 ms, 1.43x (3 from duckdb) | **met**",
        "333 requests/s, p99 50.0 ms, 0 errors; 1000 captures/s | **met**",
        "the clients' own work, 21.5 s of processor time",
        "| 512 MiB |",
        "| source_overlap | 3 | 2.00 s (2.00 s to 2.00 s) | over 60.00 s | over 30.0x |",
        "No rollup serves project_summary.",
        "| domain_timeline | 10 000 | 8 123 of 3 000 000 | 1.50 s | 8.00 s | yes |",
    ):
        assert words in text, words
    again = replace(REPORT, filled=Filled(None, None, 20.0, None))
    assert "the home was filled by an earlier run" in again.markdown()


def test_markdown_tables_have_as_many_cells_in_every_line():
    tables: list[list[str]] = [[]]
    for line in REPORT.markdown().splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    assert len([table for table in tables if table]) == 9
    assert all(len({line.count("|") for line in table}) == 1 for table in tables if table)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_question_can_be_asked_plainly(question):
    params = plain(question, domain="generated-0000020.com", projects=["one", "two", "three"])
    question.params.model_validate(params)
    assert all(question.params.model_fields[name].is_required() for name in params)
    path = path_of("/api/v1/analytics", question, params)
    assert path.startswith("/api/v1/analytics/")
    assert "{" not in path


def test_rows_are_alike_up_to_the_order_of_a_sum():
    rows = [{"band": 1, "mean": 0.1 + 0.2, "last": None}, {"band": None, "mean": None, "last": "a"}]
    same = [{"band": 1, "mean": 0.3, "last": None}, {"band": None, "mean": None, "last": "a"}]
    assert alike(rows, same)
    for place, change in ((0, {"band": 2}), (0, {"mean": 0.3001}), (0, {"mean": None}), (1, {"last": "b"})):
        other = [row | change if number == place else row for number, row in enumerate(same)]
        assert not alike(rows, other), change
    assert not alike(rows, same[::-1])
    assert not alike(rows, same[:1])
    assert not alike(rows, [row | {"more": 1} for row in same])


def test_an_address_bears_no_letter_that_would_end_it():
    question = QUESTIONS["domain_timeline"]
    path = path_of("/a", question, {"domain": "a/b?c", "engine": "duckdb"})
    assert path == "/a/domains/a%2Fb%3Fc/timeline?engine=duckdb"


def test_clients_ask_by_the_mix_and_the_same_for_the_same_seed():
    assert sum(MIX.values()) == pytest.approx(1)
    domains = [f"d{number}.com" for number in range(100)]
    asking = requests("/a", domains, 7)
    found = [next(asking) for _ in range(4000)]
    again = requests("/a", domains, 7)
    assert [next(again) for _ in range(50)] == found[:50]
    other = requests("/a", domains, 8)
    assert [next(other) for _ in range(50)] != found[:50]
    for name, share in MIX.items():
        assert sum(asked == name for asked, _ in found) / len(found) == pytest.approx(share, abs=0.04)
    assert all("max_lag=60" in path for _, path in found)
    of_first, of_last = (
        sum(f"/{domain}/" in path for _, path in found) for domain in (domains[0], domains[-1])
    )
    assert of_first > 10 * max(of_last, 1)


def test_where_an_answer_came_from_is_what_its_meta_says():
    meta = {"engine": "duckdb", "cached": False, "rollups": []}
    assert came_from(meta) == "duckdb"
    assert came_from(meta | {"rollups": ["rollup_1"]}) == "rollup"
    assert came_from(meta | {"cached": True}) == "cache"
    body = json.dumps({"data": [{"url": '","meta":{"cached":true}'}], "meta": meta}, separators=(",", ":"))
    assert meta_of(body.encode()) == meta
