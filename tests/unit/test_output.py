"""What commands print holds whatever an archive holds, and steers no terminal."""

import json
import math
from datetime import date, datetime, time, timedelta

import pytest

from chronolake.cli import output
from chronolake.cli.database import _libpq_variables
from chronolake.cli.output import print_json, print_rows, stdout


def test_control_characters_are_written_out(capsys):
    print_rows([{"raw": "a\x1b[2Jb\x9b31m\x07"}])
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert r"a\x1b[2Jb\x9b31m\x07" in out


def test_a_narrow_terminal_breaks_a_moment_between_date_and_time_and_no_title(capsys, monkeypatch):
    monkeypatch.setattr(output.stdout, "width", 50)
    row = {"domain": "a-rather-long-name.example", "captures": 12, "last": datetime(2024, 12, 31, 1, 2, 3)}
    title = "Which domains have the most captures of all that there are?"
    print_rows([row, row], title=title)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == title
    assert out.count("2024-12-31 ") == out.count("01:02:03Z") == 2


def test_a_column_of_days_shows_no_midnights(capsys, monkeypatch):
    monkeypatch.setattr(output.stdout, "width", 100)
    rows = [{"period": datetime(2024, 1, day), "last": datetime(2024, 1, 1, day)} for day in (1, 2)]
    print_rows(rows)
    out = capsys.readouterr().out
    assert "2024-01-02 " in out
    assert "00:00:00Z" not in out
    assert out.count("2024-01-01 01:00:00Z") == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (timedelta(hours=1, milliseconds=500), 3600.5),
        (time(1, 2, 3), "01:02:03"),
        (math.nan, None),
        (math.inf, None),
        ({date(2020, 1, 2): 1}, {"2020-01-02": 1}),
        ([math.nan, (1,)], [None, [1]]),
        ("bad-\udcff.cdx", "bad-\udcff.cdx"),
    ],
)
def test_what_queries_give_is_said_in_json(capsys, value, said):
    print_json({"value": value})
    out = capsys.readouterr().out
    assert json.loads(out) == {"value": said}
    out.encode()


def test_psql_is_given_the_password_where_nobody_sees_it():
    found = _libpq_variables("postgresql://me:s3cret@db:5433/archive?sslmode=require&options=-c%20jit%3Doff")
    assert found == {
        "PGUSER": "me",
        "PGPASSWORD": "s3cret",
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGDATABASE": "archive",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c jit=off -c search_path=chronolake,public",
    }


def test_rows_stand_upright_where_their_names_have_no_room(monkeypatch, capsys):
    monkeypatch.setattr(stdout, "_width", 40)
    rows = [{f"a_long_name_{n}": n * place for n in range(5)} for place in (1, 2)]
    print_rows(rows)
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    told = [(line[0].strip(), line[1].strip()) for line in lines if len(line) == 2]
    assert told == [(f"a_long_name_{n}", str(n * place)) for place in (1, 2) for n in range(5)]
