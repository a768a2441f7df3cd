"""Lines of CSV made of whole files: byte by byte what DuckDB's COPY writes, whatever the values are."""

import csv
import io
import random
import uuid
from datetime import timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import LakeUnavailable
from chronolake.query.export import captures, csv_files
from chronolake.query.export.csv_fields import EARLIEST, LATEST, knows
from chronolake.query.export.csv_files import Appending

SEED = 20261129
ROWS = 3000
#: Everything that a text may hold less NUL, which PostgreSQL does not take.
ODD = [
    "", " ", " leading", "trailing ", ",", '"', '""', "\n", "\r\n", "a,b", 'say "x"', "#", "a#b", "'", "\\", "\\N", "NULL",
    "null", "\t", ";", "|", "é", "中文", "👩‍👩‍👧", "\ufeff", "\u2028", *(f"a{chr(code)}b" for code in range(1, 32)),
]  # fmt: skip


def values_of(field, chance, *, few):
    """Values of a column's type, some null; `few`: each comes again and again."""
    kind = field.type
    makers = {
        pa.uuid(): lambda: uuid.UUID(int=chance.getrandbits(128)).bytes,
        pa.string(): lambda: (
            chance.choice(ODD) if few else chance.choice(ODD) + str(chance.random()) + chance.choice(ODD)
        ),
        pa.binary(): lambda: chance.choice([b"", b"plain", b'{"a": "\\"}', bytes(range(256)), "é'".encode()]),
        pa.bool_(): lambda: chance.random() < 0.5,
        pa.timestamp("us"): lambda: chance.choice(
            [EARLIEST, LATEST, EARLIEST + timedelta(microseconds=chance.randrange(10**15))]
        ),
    }
    number = (lambda: chance.randrange(-3, 3)) if few else lambda: chance.randrange(-(2**31), 2**31)
    make = makers.get(kind, number)
    return [None if field.nullable and chance.random() < 0.2 else make() for _ in range(ROWS)]


def table_of(chance, *, few):
    schema = pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in CDX_RECORDS.columns])
    columns = [pa.array(values_of(field, chance, few=few), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def by_engine(path, target):
    with duckdb.connect() as engine:
        quoted = ", ".join(captures.ALWAYS_QUOTED)
        engine.execute(
            f"COPY (FROM '{path}') TO '{target}' (FORMAT csv, HEADER false,"
            f" TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ', FORCE_QUOTE ({quoted}))"
        )
    return target.read_bytes()


def by_us(paths, target, *, threads=1):
    target.write_bytes(b"")
    appending = Appending(target, always_quoted=captures.ALWAYS_QUOTED)
    assert appending.append(paths, threads)
    assert appending.bytes == target.stat().st_size
    return target.read_bytes(), appending.rows


@pytest.mark.parametrize("dictionary", [False, True])
@pytest.mark.parametrize("few", [False, True])
def test_the_bytes_are_those_of_the_engine(tmp_path, monkeypatch, few, dictionary):
    rows = table_of(random.Random(SEED), few=few)
    path = tmp_path / "a.parquet"
    pq.write_table(rows, path, use_dictionary=dictionary, row_group_size=ROWS // 2 - 7)
    # Several batches, and several pieces of each.
    monkeypatch.setattr(csv_files, "_BATCH_ROWS", 999)
    monkeypatch.setattr("chronolake.query.export.csv_lines._GLUED_ROWS", 250)
    made, counted = by_us([path], tmp_path / "ours.csv")
    assert counted == ROWS
    assert made == by_engine(path, tmp_path / "theirs.csv")


def test_columns_that_combine_in_too_many_ways_are_left_apart(tmp_path, monkeypatch):
    rows = table_of(random.Random(SEED), few=True)
    path = tmp_path / "a.parquet"
    pq.write_table(rows, path)
    for most in (1, 7, 100):
        monkeypatch.setattr("chronolake.query.export.csv_lines._MOST_COMBINED", most)
        assert by_us([path], tmp_path / "ours.csv")[0] == by_engine(path, tmp_path / "theirs.csv")


def test_what_was_written_is_read_as_it_was(tmp_path):
    rows = table_of(random.Random(SEED), few=False)
    path = tmp_path / "a.parquet"
    pq.write_table(rows, path)
    made, _ = by_us([path], tmp_path / "ours.csv")
    read = list(csv.reader(io.StringIO(made.decode(), newline=""), strict=True))
    for name in ("url", "domain", "digest", "mime_type"):
        place = rows.column_names.index(name)
        assert [line[place] for line in read] == [value or "" for value in rows[name].to_pylist()]
    texts = [name for name in rows.column_names if rows.schema.field(name).type == pa.string()]
    listed = ", ".join(f"'{name}': 'VARCHAR'" for name in rows.column_names)
    with duckdb.connect() as engine:
        found = engine.execute(
            f"SELECT {', '.join(texts)} FROM read_csv('{tmp_path / 'ours.csv'}', header = false, columns = {{{listed}}},"
            " quote = '\"', escape = '\"', delim = ',', new_line = '\\n',"
            " auto_detect = false, allow_quoted_nulls = false, parallel = false)"
        ).fetchall()
    # An empty text is not null.
    assert found == list(zip(*(rows[name].to_pylist() for name in texts), strict=True))


def test_files_are_written_side_by_side_and_each_line_is_whole(tmp_path):
    chance = random.Random(SEED)
    paths = [tmp_path / f"{number}.parquet" for number in range(6)]
    for path in paths:
        pq.write_table(table_of(chance, few=True), path)
    made, counted = by_us(paths, tmp_path / "ours.csv", threads=3)
    alone = b"".join(by_us([path], tmp_path / "one.csv")[0] for path in paths)
    assert counted == 6 * ROWS
    read = [list(csv.reader(io.StringIO(text.decode(), newline=""))) for text in (made, alone)]
    assert sorted(read[0]) == sorted(read[1])


def test_every_column_of_a_capture_has_a_text():
    assert [column.name for column in CDX_RECORDS.columns if not knows(column.arrow)] == []


def test_a_file_that_is_broken_is_named_and_nobody_writes_on(tmp_path):
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    pq.write_table(table_of(random.Random(SEED), few=True), whole)
    broken.write_bytes(whole.read_bytes()[:-100])
    for path in (broken, tmp_path / "missing.parquet"):
        with pytest.raises(LakeUnavailable, match=path.name):
            by_us([whole, path], tmp_path / "ours.csv")


def test_once_halted_nothing_more_is_written(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(random.Random(SEED), few=True), path)
    target = tmp_path / "ours.csv"
    target.write_bytes(b"header\n")
    appending = Appending(target, always_quoted=())
    appending.halt()
    assert not appending.append([path], 1)
    assert target.read_bytes() == b"header\n"


def test_bounds_leave_out_times_without_a_text():
    wide = {"timestamp": (EARLIEST - timedelta(days=1), LATEST + timedelta(days=1)), "domain": ("a", "a")}
    assert captures.with_text(wide) == {"timestamp": (EARLIEST, LATEST), "domain": ("a", "a")}
    assert captures.with_text(None) is None
