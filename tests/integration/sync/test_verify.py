"""Differences that were planted in the lake are found and repaired, and changes on their way are none."""

import importlib.util
import threading
import time
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS, DOMAINS, PAGE_ENTITIES, SCRAPE_SESSIONS, TABLES
from chronolake.lake.engine import quoted
from chronolake.services import open_services
from chronolake.sync.scan import of_keys
from chronolake.sync.verify import Copy, Difference, Kind, Look, Unsettled, judge
from chronolake.testing import differences

_path = Path(__file__).parents[1] / "lake" / "test_every_table.py"
_spec = importlib.util.spec_from_file_location("every_table", _path)
every_table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(every_table)


@pytest.fixture
def services(database, make_settings):
    with open_services(make_settings()) as opened:
        yield opened


@pytest.fixture
def filled(services):
    with services.database.connection() as conn:
        for table in every_table.IN_ORDER:
            every_table.insert(conn, table, every_table.rows_of(table, (1, 2, 3)))
        conn.execute(
            "INSERT INTO cdx_records (id, project_id, batch_id, archive_source, url, url_key, domain, timestamp,"
            " timestamp_repaired, record_type) SELECT gen_random_uuid(), 1, 1, 'x', 'http://' || n, n, 'd' || n % 9,"
            " '2020-01-01'::timestamp + n * interval '1 hour', false, 'response' FROM generate_series(1, 3000) n"
        )
    services.sync.reach()
    return services


def lake_rows(services, table, where):
    names = ", ".join(f'"{column.name}"' for column in table.stored)
    with services.lake.cursor() as cursor:
        rows = cursor.execute(f"SELECT {names} FROM {table.name} WHERE {where}").fetchall()
    columns = [
        pa.array([value.bytes if isinstance(value, uuid.UUID) else value for value in values], field.type)
        for field, values in zip(table.arrow_schema, zip(*rows, strict=True), strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=table.arrow_schema)


def lake_do(services, sql):
    with services.lake.cursor() as cursor:
        cursor.execute(sql)


def found(verdict):
    return (verdict.missing, verdict.extra, verdict.doubled, verdict.different)


def test_two_that_are_the_same_are_found_so(filled):
    for verdict in filled.sync.verify():
        assert found(verdict) == (0, 0, 0, 0)
        assert verdict.equal
        assert verdict.rows == verdict.lake_rows > 0


def plant(services, table):
    """One row changed, one missing, one that is too much, one twice; the keys by kind."""
    key = table.key
    with services.lake.cursor() as cursor:
        keys = [
            row[0]
            for row in cursor.execute(f"SELECT {key} FROM {table.name} ORDER BY {key} LIMIT 3").fetchall()
        ]
    different, missing, doubled = (quoted(str(value)) for value in keys)
    changed = {
        "cdx_records": "url",
        "domains": "tld",
        "page_entities": "confidence",
        "scrape_sessions": "read",
    }
    other = {
        "cdx_records": "'changed'",
        "domains": "'changed'",
        "page_entities": "'NaN'",
        "scrape_sessions": "77",
    }
    extra = lake_rows(services, table, f"{key} = {doubled}")
    services.lake.append(table, extra)
    made = {pa.uuid(): uuid.UUID(int=99).bytes, pa.string(): "extra.example", pa.int64(): 99}[
        table[key].arrow
    ]
    place = extra.schema.get_field_index(key)
    services.lake.append(
        table, extra.set_column(place, extra.schema.field(key), pa.array([made], table[key].arrow))
    )
    lake_do(
        services,
        f"UPDATE {table.name} SET {changed[table.name]} = {other[table.name]} WHERE {key} = {different}",
    )
    lake_do(services, f"DELETE FROM {table.name} WHERE {key} = {missing}")
    return changed[table.name]


@pytest.mark.parametrize(
    "table", [CDX_RECORDS, DOMAINS, PAGE_ENTITIES, SCRAPE_SESSIONS], ids=lambda table: table.name
)
@pytest.mark.parametrize("follows", [True, False])
def test_what_was_planted_is_found_and_repaired_and_nothing_else_touched(filled, table, follows):
    changed = plant(filled, table)
    [verdict] = filled.sync.verify([table])
    assert found(verdict) == (1, 1, 1, 1)
    assert verdict.columns == {changed: 1}
    assert not verdict.equal
    with filled.lake.cursor() as cursor:
        untouched = {
            other.name: cursor.execute(f"SELECT rowid FROM {other.name} ORDER BY 1").fetchall()
            for other in TABLES.values()
        }
    if follows:
        with filled.sync.following():
            [verdict] = filled.sync.verify([table], repair=True)
    else:
        [verdict] = filled.sync.verify([table], repair=True)
    assert (verdict.repaired, verdict.remaining, verdict.equal) == (4, 0, True)
    assert differences(filled.database, filled.lake) == []
    with filled.lake.cursor() as cursor:
        for other in TABLES.values():
            now = cursor.execute(f"SELECT rowid FROM {other.name} ORDER BY 1").fetchall()
            gone = set(untouched[other.name]) - set(now)
            # One changed, one extra, and both of the one that was there twice.
            assert len(gone) == (4 if other is table else 0)
    assert filled.sync.verify([table])[0].equal


def test_a_row_that_is_twice_in_one_file_is_repaired(filled):
    rows = lake_rows(filled, SCRAPE_SESSIONS, "id = 1")
    lake_do(filled, "DELETE FROM scrape_sessions WHERE id = 1")
    filled.lake.append(SCRAPE_SESSIONS, pa.concat_tables([rows, rows]))
    [verdict] = filled.sync.verify([SCRAPE_SESSIONS], repair=True)
    assert (verdict.doubled, verdict.remaining) == (1, 0)
    assert differences(filled.database, filled.lake) == []


def test_changes_on_their_way_are_no_differences(filled):
    stopped = threading.Event()
    rounds = 0

    def write():
        number = 0
        while not stopped.wait(0.05):
            number += 1
            with filled.database.connection() as conn:
                conn.execute(
                    "UPDATE cdx_records SET url = 'w' || %s WHERE hashtext(id::text) %% 97 = %s",
                    [number, number % 97],
                )
                conn.execute("DELETE FROM domains WHERE domain = 'flap'")
            with filled.database.connection() as conn:
                conn.execute("INSERT INTO domains (domain) VALUES ('flap')")

    writer = threading.Thread(target=write)
    with filled.sync.following():
        writer.start()
        try:
            until = time.monotonic() + 4
            while time.monotonic() < until:
                for table in (CDX_RECORDS, DOMAINS):
                    [verdict] = filled.sync.verify([table])
                    assert found(verdict) == (0, 0, 0, 0)
                    rounds += 1
        finally:
            stopped.set()
            writer.join()
        assert rounds >= 2
        filled.sync.reach()
        assert all(verdict.equal for verdict in filled.sync.verify())
    assert differences(filled.database, filled.lake) == []


def test_minus_zero_is_not_zero_and_nan_is_nan(filled):
    with filled.database.connection() as conn:
        conn.execute("UPDATE page_entities SET confidence = 'NaN' WHERE id = 1")
        conn.execute("UPDATE page_entities SET confidence = '-0' WHERE id = 2")
    filled.sync.reach()
    assert filled.sync.verify([PAGE_ENTITIES])[0].equal
    lake_do(filled, "UPDATE page_entities SET confidence = 0.0 WHERE id = 2")
    [verdict] = filled.sync.verify([PAGE_ENTITIES])
    assert (found(verdict), verdict.columns) == ((0, 0, 0, 1), {"confidence": 1})


def test_a_value_that_the_lake_cannot_hold_stays_a_difference(filled):
    with filled.database.connection() as conn:
        conn.execute("UPDATE scrape_sessions SET finished_at = 'infinity' WHERE id = 2")
        assert of_keys(conn, SCRAPE_SESSIONS, ["2"]).unfit["finished_at"].tolist() == [0]
    [verdict] = filled.sync.verify([SCRAPE_SESSIONS], repair=True)
    assert (verdict.different, verdict.repaired, verdict.remaining) == (1, 0, 1)
    assert verdict.columns == {"finished_at": 1}


def test_a_dead_letter_is_retried_once_its_row_fits(filled):
    with filled.database.connection() as conn:
        conn.execute("UPDATE scrape_sessions SET finished_at = 'infinity', stored = 5 WHERE id = 2")
    filled.sync.reach()
    [letter] = filled.sync.dead_letters(table="scrape_sessions")
    assert (letter.key, letter.change_kind, letter.payload["stored"]) == ("2", "update", 5)
    assert "finished_at" in letter.reason
    assert list(filled.sync.retry([letter])) == [letter.letter_id]
    assert filled.sync.status().dead_letters == 1
    with filled.database.connection() as conn:
        conn.execute("UPDATE scrape_sessions SET finished_at = NULL WHERE id = 2")
    assert filled.sync.retry(filled.sync.dead_letters()) == {}
    assert filled.sync.status().dead_letters == 0
    assert not filled.sync.dismiss(letter.letter_id)
    assert differences(filled.database, filled.lake) == []


COPY = Copy(7, (1, 2))
SAME = {
    "key": "k",
    "cells": (1, 2),
    "before": "v",
    "copies": (COPY,),
    "after": "v",
    "settled": True,
    "row_ids_afterwards": frozenset(),
}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, None),
        ({"after": "w"}, None),
        ({"copies": (COPY, COPY), "settled": False}, Difference("k", Kind.DOUBLED)),
        ({"copies": ()}, Difference("k", Kind.MISSING)),
        ({"copies": (), "after": "w"}, Unsettled),
        ({"copies": (), "settled": False}, Unsettled),
        ({"cells": (1, 3)}, Difference("k", Kind.DIFFERENT, ("b",))),
        ({"cells": None, "before": None, "after": None}, Unsettled),
        ({"cells": None, "before": None, "after": None, "row_ids_afterwards": frozenset({7})}, Difference("k", Kind.EXTRA)),
        ({"cells": None, "before": None, "after": "v", "row_ids_afterwards": frozenset({7})}, Unsettled),
    ],
)  # fmt: skip
def test_what_a_look_says(seen, expected):
    said = judge(Look(**(SAME | seen)), ("a", "b"))
    assert isinstance(said, expected) if expected is Unsettled else said == expected
