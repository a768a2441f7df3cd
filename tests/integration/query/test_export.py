"""Exports: the rows that were meant, in every format, whole or not at all."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from errno import EXDEV
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlglot

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import (
    EngineUnavailable,
    ExportStopped,
    LakeUnavailable,
    OutputError,
    ParameterInvalid,
    QueryTimeout,
    QuestionUnknown,
)
from chronolake.query import QUESTIONS, Question, Scope
from chronolake.query.export import Exporter, Format, formats
from chronolake.query.export import run as run_module
from chronolake.query.params import Params

EVERYTHING = Scope.everything()
NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from chronolake.query import Scope
from chronolake.query.export import Format
from chronolake.services import open_reading
from chronolake.settings import load

home, url, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with open_reading(load({"CHRONOLAKE_HOME": home, "DATABASE_URL": url})) as stores:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        stores.exporter.export(
            "captures", {}, scope=Scope.everything(), path=path,
            format_=Format.of(path, None if path.suffix else "parquet"),
        )
    except Exception as error:
        print(type(error).__name__)
"""
TIMED = "timestamp BETWEEN '2012-01-01' AND '2013-12-31 23:59:59.999999'"


@pytest.fixture
def export(database, lake, make_settings, tmp_path, filled):
    def _export(
        what="captures", *, to, scope=EVERYTHING, on_progress=None, replace=False, variables=(), **params
    ):
        exporter = Exporter(database=database, lake=lake, settings=make_settings(**dict(variables)))
        path = tmp_path / to
        return exporter.export(
            what,
            params,
            scope=scope,
            path=path,
            format_=Format.of(path, None if path.suffix else "parquet"),
            replace=replace,
            on_progress=on_progress,
        )

    return _export


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def wanted(lake):
    """Ids of captures by a condition, in order."""

    def _wanted(condition="true"):
        with lake.cursor() as cursor:
            found = cursor.execute(
                f"SELECT id::VARCHAR FROM cdx_records WHERE {condition} ORDER BY id"
            ).fetchall()
        return [row[0] for row in found]

    return _wanted


def ids_of(path):
    source = f"{path}/*.parquet" if path.is_dir() else str(path)
    reader = {".csv": "read_csv", ".jsonl": "read_json"}.get(path.suffix, "read_parquet")
    return [
        row[0] for row in duckdb.sql(f"SELECT id::VARCHAR FROM {reader}('{source}') ORDER BY 1").fetchall()
    ]


@pytest.mark.parametrize("to", ["all", "all.parquet", "all.csv", "all.jsonl"])
def test_all_captures_in_every_format(export, wanted, to, tmp_path):
    found = export(to=to)
    assert ids_of(tmp_path / to) == wanted()
    assert found.rows == len(wanted())
    assert found.bytes == sum(
        file.stat().st_size for file in ([found.path] if found.path.is_file() else found.path.iterdir())
    )
    assert found.as_of_lsn is not None
    assert names_in(tmp_path) == [to]


def test_arrow_has_the_columns_of_the_lake(export, wanted, tmp_path):
    assert export(to="all.arrow").rows == len(wanted())
    with pa.OSFile(str(tmp_path / "all.arrow")) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    assert table.schema.names == [column.name for column in CDX_RECORDS.columns]
    assert table.num_rows == len(wanted())
    assert table.schema.field("timestamp").type == pa.timestamp("us")


def test_texts_say_that_their_times_are_utc(export, tmp_path):
    export(to="some.jsonl", domain="host-3.example")
    lines = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text().splitlines()]
    assert {line["domain"] for line in lines} == {"host-3.example"}
    assert all(datetime.fromisoformat(line["timestamp"]).tzinfo == UTC for line in lines)
    export(to="some.csv", domain="host-3.example")
    assert "Z," in (tmp_path / "some.csv").read_text().splitlines()[1]


@pytest.mark.parametrize("to", ["some", "some.parquet"])
@pytest.mark.parametrize(
    ("params", "condition"),
    [
        ({"start": "2012", "end": "2013"}, TIMED),
        ({"domain": "host-3.example"}, "domain = 'host-3.example'"),
        ({"domain": "nowhere.example"}, "false"),
        ({"status_code": "404"}, "status_code = 404"),
        (
            {"mime_type": "text/html", "record_type": "response"},
            "mime_type = 'text/html' AND record_type = 'response'",
        ),
        (
            {"archive_source": "Österreich", "start": "2012", "end": "2013"},
            f"archive_source = 'Österreich' AND {TIMED}",
        ),
        ({"project": "blogs"}, "project_id = 2"),
    ],
)
def test_filters_leave_just_what_is_meant(export, wanted, to, params, condition, tmp_path):
    assert export(to=to, **params).rows == len(wanted(condition))
    assert ids_of(tmp_path / to) == wanted(condition)


@pytest.mark.parametrize("to", ["mine", "mine.csv"])
def test_a_scope_exports_its_own(export, wanted, to, tmp_path, filled):
    first, second = filled
    export(to=to, scope=Scope(frozenset({second})))
    assert ids_of(tmp_path / to) == wanted(f"project_id = {second}")
    export(to="both", scope=Scope(frozenset({first, second})))
    assert ids_of(tmp_path / "both") == wanted()
    assert export(to="none", scope=Scope(frozenset())).rows == 0
    with pytest.raises(ParameterInvalid, match="no project 'news'"):
        export(to="other", scope=Scope(frozenset({second})), project="news")


def test_files_of_which_all_is_meant_go_as_they_are(export, lake, tmp_path):
    whole = export(to="all")
    assert whole.files_as_they_were == whole.files > 0
    with lake.cursor() as cursor:
        found = cursor.execute("SELECT DISTINCT filename FROM cdx_records").fetchall()
    for file in (Path(row[0]) for row in found):
        copy = tmp_path / "all" / file.name
        assert copy.read_bytes() == file.read_bytes()
        # A file of its own: who changes it does not change the lake.
        assert file.stat().st_ino != copy.stat().st_ino
    assert export(to="part", start="2014").files_as_they_were == 0


def test_an_answer_is_a_sheet(export, ask, tmp_path):
    export("top_domains", to="top.xlsx", limit="7")
    sheet = openpyxl.load_workbook(tmp_path / "top.xlsx").active
    header, *rows = sheet.iter_rows(values_only=True)
    wanted = ask("top_domains", "duckdb", limit="7").rows
    assert list(header) == list(wanted[0])
    assert len(rows) == len(wanted)
    for row, record in zip(rows, wanted, strict=True):
        for value, meant in zip(row, record.values(), strict=True):
            # A sheet keeps milliseconds, and sixteen digits.
            near = isinstance(meant, datetime) and abs(value - meant) <= timedelta(milliseconds=1)
            assert near or value == (pytest.approx(meant, rel=1e-15) if isinstance(meant, float) else meant)


def test_an_answer_is_the_same_as_the_one_that_is_asked_for(export, ask, tmp_path):
    export("domain_timeline", to="timeline.parquet", domain="host-3.example", interval="year")
    rows = pq.read_table(tmp_path / "timeline.parquet").to_pylist()
    assert rows == ask("domain_timeline", "duckdb", domain="host-3.example", interval="year").rows


def sheet(lake, make_settings, path, text):
    with lake.cursor() as cursor:
        return formats.writer_of(Format.XLSX, make_settings().parquet)(cursor, text, {}, path)


def test_texts_stay_texts_in_a_sheet(lake, make_settings, tmp_path):
    text = "SELECT '=1+1' AS formula, 'http://a.example/' AS link, true AS yes, 'NaN'::DOUBLE AS nan, NULL::INT AS none"
    assert sheet(lake, make_settings, tmp_path / "a.xlsx", text) == 1
    _, row = openpyxl.load_workbook(tmp_path / "a.xlsx").active.iter_rows()
    assert [cell.value for cell in row[:3]] == ["=1+1", "http://a.example/", True]
    assert row[0].data_type == "s"
    assert row[1].hyperlink is None
    assert row[4].value is None


def test_what_a_sheet_cannot_hold_is_refused(lake, make_settings, monkeypatch, tmp_path):
    with pytest.raises(OutputError, match="a is longer than the 32767 characters"):
        sheet(lake, make_settings, tmp_path / "a.xlsx", "SELECT repeat('x', 32768) AS a")
    monkeypatch.setattr(formats, "SHEET_ROWS", 10)
    assert sheet(lake, make_settings, tmp_path / "b.xlsx", "SELECT * FROM range(10)") == 10
    with pytest.raises(OutputError, match="more rows than the 10 of a sheet"):
        sheet(lake, make_settings, tmp_path / "c.xlsx", "SELECT * FROM range(11)")


def test_without_a_lake_it_says_why(database, make_settings, tmp_path, filled):
    off = Exporter(database=database, lake=None, settings=make_settings())
    with pytest.raises(EngineUnavailable, match="ANALYTICS_ENABLED"):
        off.export("captures", {}, scope=EVERYTHING, path=tmp_path / "a.csv", format_=Format.CSV)
    broken = Exporter(
        database=database, lake=None, settings=make_settings(), lake_error=LakeUnavailable("it burned down")
    )
    with pytest.raises(EngineUnavailable, match="it burned down"):
        broken.export("captures", {}, scope=EVERYTHING, path=tmp_path / "a.csv", format_=Format.CSV)


def test_what_is_there_is_written_over_on_demand_only(export, tmp_path):
    export(to="a.csv", domain="host-3.example")
    kept = (tmp_path / "a.csv").read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        export(to="a.csv")
    assert (tmp_path / "a.csv").read_bytes() == kept
    assert export(to="a.csv", replace=True).rows > 1000
    export(to="folder", start="2014")
    export(to="folder", start="2015", replace=True)
    assert names_in(tmp_path) == ["a.csv", "folder"]


def test_nothing_is_left_of_an_export_that_fails(export, tmp_path):
    with pytest.raises(QuestionUnknown):
        export("nothing", to="a.csv")
    with pytest.raises(ParameterInvalid):
        export(to="a.csv", status_code="many")
    with pytest.raises(ParameterInvalid, match="no format"):
        export(to="a.docx")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export(to="file/a.csv")
    assert names_in(tmp_path) == ["file"]


@dataclass(frozen=True)
class Endless(Question):
    """A question that takes longer than anybody waits."""

    @property
    def tree(self):
        return sqlglot.parse_one(
            "SELECT count(*) AS n FROM range(1000000) AS a, range(1000000) AS b", read="duckdb"
        )


def test_nothing_is_left_of_an_export_that_takes_too_long(export, monkeypatch, tmp_path):
    known = QUESTIONS["top_domains"]
    monkeypatch.setitem(QUESTIONS, "endless", Endless("endless", "?", Params, known.row, known.query_type))
    with pytest.raises(QueryTimeout):
        export("endless", to="a.csv", variables=[("CHRONOLAKE_EXPORT_TIMEOUT_S", "0.2")])
    assert names_in(tmp_path) == []


def test_whole_files_stop_being_written_when_told_or_late(
    export, database, lake, make_settings, monkeypatch, tmp_path
):
    # As if the engine's part took no time: what is watched here is what follows it.
    monkeypatch.setattr(run_module, "_LOOK_S", 0.0001)
    append = run_module.Appending.append

    def slow(appending, files, threads):
        while not appending._halted.wait(0.01):
            pass
        return append(appending, files, threads)

    monkeypatch.setattr(run_module.Appending, "append", slow)
    with pytest.raises(QueryTimeout):
        export(to="a.csv", variables=[("CHRONOLAKE_EXPORT_TIMEOUT_S", "2")])
    exporter = Exporter(database=database, lake=lake, settings=make_settings())
    looks = iter([False] * 300)
    with pytest.raises(ExportStopped):
        exporter.export(
            "captures", {}, scope=EVERYTHING, path=tmp_path / "b.csv", format_=Format.CSV,
            stopped=lambda: next(looks, True),
        )  # fmt: skip
    assert names_in(tmp_path) == []


def test_progress_is_told_while_it_runs(export, monkeypatch, lake):
    monkeypatch.setattr(run_module, "_LOOK_S", 0.001)
    told = []
    threads = set()

    def on_progress(progress):
        told.append(progress.share)
        threads.add(threading.current_thread().name)

    export(to="a.csv", on_progress=on_progress)
    assert told
    assert all(share is None or 0 <= share <= 1 for share in told)
    assert threads == {"export-progress"}


def test_files_go_as_they_are_to_another_file_system_too(export, wanted, monkeypatch, tmp_path):
    def refused(*_):
        raise OSError(EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.copy_file_range", refused)
    found = export(to="all")
    assert found.files_as_they_were == found.files > 0
    assert ids_of(tmp_path / "all") == wanted()


@pytest.mark.parametrize("to", ["a.csv", "a.jsonl", "a.parquet", "a.arrow", "a.xlsx", "folder"])
def test_a_disk_without_room_is_told_and_nothing_is_left(
    lake, make_settings, database_url, filled, to, tmp_path
):
    # A limit of the size of files is what comes nearest to a full disk for whoever may not mount one.
    program = tmp_path / "program.py"
    program.write_text(NO_ROOM)
    home = str(make_settings().home.root)
    command = [sys.executable, program, home, database_url, str(tmp_path / to)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # The engine that writes tells of it as its own error, we as ours.
    assert done.stdout.splitlines()[-1] in {"LakeUnavailable", "OutputError"}, done.stderr
    assert names_in(tmp_path) == ["program.py"]


def test_rows_that_were_deleted_are_not_exported(export, lake, wanted, append_again, tmp_path):
    before = len(wanted())
    with lake.cursor() as cursor:
        some = cursor.execute("SELECT id FROM cdx_records ORDER BY domain, timestamp LIMIT 3").fetchall()
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM cdx_records WHERE id IN (SELECT unnest($1))", [[row[0] for row in some]])
        cursor.execute("COMMIT")
    append_again()
    found = export(to="rest")
    assert found.rows == 2 * before - 3
    assert (found.files_as_they_were, found.files) == (1, 2)
    assert ids_of(tmp_path / "rest") == wanted()
    # Of one file every row is meant, of the other the engine writes what is left.
    assert export(to="rest.csv").rows == 2 * before - 3
    assert ids_of(tmp_path / "rest.csv") == wanted()
    assert pq.read_schema(tmp_path / "rest" / "part.parquet").names == [
        column.name for column in CDX_RECORDS.columns
    ]
