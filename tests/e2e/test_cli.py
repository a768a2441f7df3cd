"""The command line as a newcomer, a script and a careless hand use it: real processes, one home."""

import gzip
import json
import os
import subprocess
import sys

import pytest

from chronolake.testing.warc import WarcFile, story

pytestmark = pytest.mark.slow

HEADER = " CDX N b a m s k r M S V g\n"
LINES = [
    f"com,host-{n % 5})/{n} 20{n % 10 + 10}0102030405 http://host-{n % 5}.com/{n} text/html 200"
    f" {'C' * 32} - - 9 {n} c.gz\n"
    for n in range(300)
]


class Shell:
    """Runs commands against one home."""

    def __init__(self, home):
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CHRONOLAKE_HOME": str(home),
            "COLUMNS": "160",
            # So few captures PostgreSQL would be asked for.
            "CHRONOLAKE_POSTGRES_CHEAP_ROWS": "0",
        }

    def __call__(self, *arguments, stdin=None, **environment):
        return subprocess.run(
            [sys.executable, "-m", "chronolake", *map(str, arguments)],
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            check=False,
        )

    def json(self, *arguments, code=0, **more):
        done = self(*arguments, "--json", **more)
        assert done.returncode == code, done.stderr.decode()
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def ingested(shell, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "sample.cdx.gz"
    path.write_bytes(gzip.compress((HEADER + "".join(LINES) + "not a capture\n").encode()))
    return path, shell.json("ingest", path, "--project", "news")


def test_ingest_gives_the_whole_account(ingested):
    _, account = ingested
    assert {name: account[name] for name in ("read", "stored", "duplicate", "rejected", "repaired")} == {
        "read": 301,
        "stored": 300,
        "duplicate": 0,
        "rejected": 1,
        "repaired": 0,
    }
    assert account["rejected_by_reason"] == {"fields": 1}
    assert account["elapsed_s"] > 0
    assert "/" in account["as_of_lsn"]


def test_ingest_again_and_from_standard_input_store_nothing(shell, ingested):
    path, _ = ingested
    assert shell.json("ingest", path, "--project", "news")["stored"] == 0
    text = gzip.decompress(path.read_bytes())
    piped = shell.json("ingest", "-", "--project", "news", stdin=text)
    assert (piped["read"], piped["stored"], piped["duplicate"]) == (301, 0, 300)


@pytest.mark.parametrize("engine", ["auto", "duckdb", "postgres"])
def test_ask_answers_with_engine_and_reason(shell, ingested, engine):
    answer = shell.json(
        "ask", "domain_timeline", "--domain", "host-1.com", "--interval", "year", "--engine", engine
    )
    assert sum(row["captures"] for row in answer["rows"]) == 60
    meta = answer["meta"]
    assert set(meta) >= {
        "engine",
        "reason",
        "as_of_lsn",
        "as_of",
        "lag_s",
        "rows_read",
        "elapsed_ms",
        "cached",
    }
    assert meta["engine"] == {"auto": "duckdb"}.get(engine, engine)
    assert meta["reason"]


def test_ask_lists_the_questions_and_names_the_neighbour_of_a_misspelt_one(shell, ingested):
    names = {entry["question"] for entry in shell.json("ask", "--list")}
    assert {"domain_timeline", "project_summary"} <= names
    error = shell.json("ask", "domain_timelin", "--domain", "x.com", code=1)["error"]
    assert error["type"] == "QuestionUnknown"
    assert error["hint"]
    error = shell.json("ask", "domain_timeline", "--domian", "x.com", code=1)["error"]
    assert error["type"] == "ParameterInvalid"


@pytest.mark.parametrize(
    "words", [["nonsense"], ["ingest"], ["bench", "generate", "--rows", "abc"], ["ask", "--nonsense"]]
)
def test_a_command_that_is_misspelt_is_explained(shell, words):
    done = shell(*words)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert shell.json(*words, code=done.returncode)["error"]["message"]


def test_sql_reads_and_nothing_else(shell, ingested):
    answer = shell.json(
        "sql", "SELECT domain, count(*) AS n FROM cdx_records GROUP BY 1 ORDER BY 1", "--limit", 3
    )
    assert answer["rows"] == [{"domain": f"host-{n}.com", "n": 60} for n in range(3)]
    for text in ("DROP TABLE cdx_records", "SELECT * FROM read_text('/etc/passwd')", "SELECT 1; SELECT 2"):
        error = shell.json("sql", text, code=1)["error"]
        assert error["type"] == "SqlRefused"
        assert error["hint"]


def test_quarantine_lists_and_exports(shell, ingested):
    path, _ = ingested
    rows = shell.json("quarantine", "--project", "news", "--limit", 1)
    assert (rows[0]["position"], rows[0]["reason"]) == (302, "fields")
    assert rows[0]["file"] in {str(path), "(standard input)"}
    exported = shell("quarantine", "export")
    assert exported.returncode == 0
    assert all(json.loads(line)["raw"] for line in exported.stdout.splitlines())


def test_the_stores_can_be_looked_at(shell, ingested):
    tables = {table["name"]: table for table in shell.json("lake", "info")["tables"]}
    assert tables["cdx_records"]["rows"] == 300
    assert shell.json("db", "url")["url"].startswith("postgresql://")
    assert shell.json("db", "migrate")["server_version"] >= 160000
    psql = shell("db", "psql", "-At", "-c", "SELECT count(*) FROM cdx_records")
    assert psql.stdout.strip() == b"300"


def test_settings_say_where_they_come_from_and_keep_secrets(shell):
    lines = shell.json("settings", PARQUET_COMPRESSION="LZ4", REDIS_URL="redis://:hunter2@localhost")
    shown = {line["variable"]: line for line in lines}
    assert (shown["PARQUET_COMPRESSION"]["value"], shown["PARQUET_COMPRESSION"]["origin"]) == (
        "LZ4",
        "environment",
    )
    assert "hunter2" not in json.dumps(lines)
    wrong = shell("settings", PARQUET_COMPRESION="LZ4")
    assert wrong.returncode == 1
    assert b"PARQUET_COMPRESSION" in wrong.stderr


def test_several_commands_run_at_once_against_one_home(shell, ingested):
    command = [sys.executable, "-m", "chronolake", "ask", "project_summary", "--project", "news", "--json"]
    running = [
        subprocess.Popen(command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in running:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
        assert json.loads(output)["rows"]


@pytest.mark.parametrize(
    ("name", "content", "error_type"),
    [
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 40, "FormatUnknown"),
        ("empty.cdx", b"", "InputUnreadable"),
        ("missing.cdx", None, "InputUnreadable"),
    ],
)
def test_bad_input_names_file_and_remedy(shell, tmp_path, name, content, error_type):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    error = shell.json("ingest", path, "--project", "bad", code=1)["error"]
    assert error["type"] == error_type
    assert name in error["message"]
    assert error["hint"]
    told = shell("ingest", path, "--project", "bad")
    assert told.returncode == 1
    assert b"Traceback" not in told.stderr


def test_what_was_readable_is_stored(shell, tmp_path):
    whole = gzip.compress((HEADER + "".join(LINES)).encode())
    cut = tmp_path / "cut.cdx.gz"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    account = shell.json("ingest", cut, "--project", "cut")
    assert 0 < account["stored"] < 300
    assert account["rejected_by_reason"] == {"truncated": 1}
    assert account["read"] == account["stored"] + account["duplicate"] + account["rejected"]

    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" * 99)
    both = shell.json("ingest", tmp_path, "--project", "both", code=1)
    assert both["stored"] == account["stored"]
    assert [error["type"] for error in both["unreadable"]] == ["FormatUnknown"]


def test_a_line_beyond_all_bounds_is_rejected_and_the_rest_stored(shell, tmp_path):
    path = tmp_path / "long.cdx"
    with path.open("wb") as file:
        file.write(HEADER.encode() + LINES[0].encode())
        for _ in range(64):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + LINES[1].encode())
    account = shell.json("ingest", path, "--project", "long")
    assert (account["stored"], account["rejected_by_reason"]) == (2, {"too_long": 1})


def test_a_file_whose_name_is_no_text_is_ingested(shell, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.cdx")
    path.write_text(HEADER + "".join(LINES[:3]) + "one line too short\n")
    done = subprocess.run(
        [sys.executable, "-m", "chronolake", "ingest", str(path), "--project", "odd-name", "--json"],
        env=shell.environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["stored"] == 3
    [rejected] = shell.json("quarantine", "--project", "odd-name")
    assert rejected["file"].endswith("/caf%E9.cdx")


def test_captures_of_a_warc_become_pages_that_questions_count(shell, tmp_path):
    file = WarcFile()
    for number in range(6):
        file.add(f"http://stories.com/{number}", f"2020010{number + 1}000000", story(number))
    file.add(
        "http://stories.com/logo.png",
        "20200108000000",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        header=("Content-Type: image/png",),
    )
    (tmp_path / "a.warc.gz").write_bytes(file.data)
    assert shell.json("ingest", tmp_path, "--project", "stories")["stored"] == 7
    asked = (
        "extract",
        "--project",
        "stories",
        "--domain",
        "stories.com",
        "--from",
        "2020",
        "--to",
        "2020-01",
    )
    account = shell.json(*asked, "--from-files", tmp_path)
    told = ("considered", "extracted", "failed", "filtered", "not_fetched")
    assert [account[name] for name in told] == [7, 6, 0, 1, 0]
    assert account["filtered_by_reason"] == {"static_asset": 1}
    assert account["in_lake"]
    for engine in ("duckdb", "postgres"):
        answer = shell.json("ask", "content_quality_distribution", "--project", "stories", "--engine", engine)
        assert sum(row["pages"] for row in answer["rows"]) == 6
        assert all(row["words"] > 50 for row in answer["rows"])
        [language] = shell.json("ask", "languages", "--project", "stories", "--engine", engine)["rows"]
        assert (language["language"], language["pages"]) == ("en", 6)
    # Everything is done; a page is made again where somebody asks for it.
    assert shell.json(*asked)["considered"] == 0
    again = shell.json(
        *asked, "--from-files", tmp_path, "--again", "--include", "static_asset", "--include", "mime"
    )
    assert (again["extracted"], again["failed"]) == (6, 1)
    refused = shell("extract", "--project", "stories", "--include", "nonsense")
    assert refused.returncode == 2
    assert b"static_asset" in refused.stderr
    error = shell.json("extract", "--project", "nobody", code=1)["error"]
    assert error["type"] == "ProjectUnknown"
