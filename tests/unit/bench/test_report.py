import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronolake.bench.environment import Environment, describe
from chronolake.bench.report import BenchReport, IngestMeasure, Loads, Sizes
from chronolake.bench.targets import TARGETS, TargetResult, not_measured
from chronolake.bench.timing import CaseResult, Timing

MEASURE = IngestMeasure(
    read=1000,
    stored=999,
    rejected=1,
    repaired=2,
    elapsed_s=0.01,
    captures_per_s=99_900.0,
    peak_memory_bytes=512_000_000,
    second_stored=0,
    second_elapsed_s=0.005,
)
REPORT = BenchReport(
    rows=10_000_000,
    seed=1,
    repeat=5,
    date=datetime(2025, 6, 1, 12, 30, tzinfo=UTC),
    command="chronolake bench run --rows 10000000 --repeat 5",
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
    domain_captures=1234,
    ingest_rows=1000,
    ingest=MEASURE,
    loads=Loads(
        lake_s=20.0, postgres_s=100.0, compaction_s=12.0, compaction_files=160, compaction_swap_s=0.02
    ),
    sizes=Sizes(
        lake_bytes=500_000_000,
        lake_files=160,
        postgres_bytes=4_000_000_000,
        postgres_table_bytes=3_000_000_000,
        sorted_file_bytes=450_000_000,
    ),
    cases=(
        CaseResult(
            "months",
            "all captures by month",
            (120, 10_000_000),
            (
                Timing("postgres", (7.0, 6.0, 8.0)),
                Timing("lake", (0.2, 0.3, 0.1)),
                Timing("duckdb_file", (0.1, 0.1, 0.1)),
                Timing("clickhouse", error="wrong answer: (1, 2), not (120, 10000000)"),
            ),
        ),
    ),
    targets=(
        TargetResult(TARGETS[0], 1_000_000, Timing("lake", (0.02, 0.03, 0.04))),
        TargetResult(TARGETS[1], 10_000_000, Timing("lake", (1.2, 1.1, 1.4))),
        # A smaller scale speaks for no larger one.
        TargetResult(TARGETS[2], 10_000_000, Timing("lake", (0.2,), error="the lake holds less")),
        not_measured(TARGETS[3], "its scale is beyond --targets-up-to 50000000"),
    ),
    clickhouse=None,
    peak_memory_bytes=2_000_000_000,
)


def test_a_target_is_met_at_the_plans_own_scale_or_not_at_all():
    assert [result.verdict for result in REPORT.targets] == [
        "met",
        "not met",
        "not measured: the lake holds less",
        "not measured: its scale is beyond --targets-up-to 50000000",
    ]
    assert [result.met for result in REPORT.targets] == [True, False, None, None]


def test_the_document_is_json_with_medians_ratios_and_every_run():
    document = json.loads(json.dumps(REPORT.document()))
    (case,) = document["cases"]
    postgres, lake, bare, clickhouse = case["timings"]
    assert (postgres["median_s"], postgres["min_s"], postgres["max_s"]) == (7.0, 6.0, 8.0)
    assert lake["ratio_to_duckdb_file"] == pytest.approx(2.0)
    assert bare["ratio_to_duckdb_file"] == pytest.approx(1.0)
    assert clickhouse["median_s"] is None
    assert "wrong answer" in clickhouse["error"]
    assert document["sizes"]["saved"] == pytest.approx(0.875)
    assert document["loads"]["lake_captures_per_s"] == pytest.approx(500_000)
    assert document["environment"]["cores"] == 2
    met, missed, _, left_out = document["targets"]
    assert (met["name"], met["rows"], met["rows_ran"]) == ("domain_timeline_query", 1_000_000, 1_000_000)
    assert (met["median_s"], met["min_s"], met["max_s"], met["met"]) == (0.03, 0.02, 0.04, True)
    assert missed["met"] is False
    assert (left_out["median_s"], left_out["runs_s"], left_out["met"]) == (None, [], None)
    assert document["date"] == "2025-06-01T12:30:00+00:00"


def test_markdown_says_what_was_measured_on_what():
    text = REPORT.markdown()
    for words in (
        "# Benchmark on 10 000 000 captures",
        "160 files in 12.00 s",
        "commit: 0123456789ab",
        "chronolake bench run --rows 10000000",
        "A CPU, 2 cores",
        "duckdb 1.5.5",
        "| 1 000 000 | 1 000 000 | 30.0 ms (20.0 ms to 40.0 ms) | **met** |",
        "| 100 000 000 | - | - | **not measured: its scale is beyond --targets-up-to 50000000** |",
        "200 ms (100 ms to 300 ms), 2.0x",
        "7.00 s (6.00 s to 8.00 s), 70.0x",
        "months on clickhouse was not timed: wrong answer",
        "87.5%",
        "99 900 captures/s",
        "500 000 captures/s",
    ):
        assert words in text


def test_markdown_tables_have_as_many_cells_in_every_line():
    tables: list[list[str]] = [[]]
    for line in REPORT.markdown().splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    assert len([table for table in tables if table]) == 3
    assert all(len({line.count("|") for line in table}) == 1 for table in tables if table)


def test_a_missing_clickhouse_is_told_with_the_reason():
    text = replace(REPORT, clickhouse="the package chdb is not installed").markdown()
    assert "ClickHouse was not measured: the package chdb is not installed" in text


def test_the_environment_tells_the_machine_and_no_path():
    found = describe()
    assert found.cores >= 1
    assert found.memory_bytes > 100_000_000
    assert found.versions["duckdb"]
    assert found.cpu
    assert "/" not in found.cpu
    assert found.commit is None or len(found.commit.rstrip("+")) == 12
