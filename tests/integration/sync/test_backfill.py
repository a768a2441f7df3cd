"""Tables copied while they are written, killed and gone on with: equal in the end, and old to readers until then."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from datetime import datetime, timedelta

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronolake import faults
from chronolake.capture.columns import (
    ARCHIVE_REQUEST_ATTEMPTS,
    CDX_RECORDS,
    CONTENT_ANALYTICS,
    DOMAINS,
    PROJECTS,
    SEARCH_HISTORY,
    TABLES,
)
from chronolake.errors import SyncError
from chronolake.ingest import IngestRequest
from chronolake.oltp import backfills, copies, replication
from chronolake.services import open_services
from chronolake.sync import TableState, backfill, scan
from chronolake.sync.leader import LEADER_LOCK
from chronolake.testing import differences

ROWS = 4000


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    monkeypatch.setattr(backfill, "RANGE_ROWS", 500)
    monkeypatch.setattr(copies, "_ROWS", 97)
    monkeypatch.setattr(faults, "_reached", faults.Counter())


@pytest.fixture
def conn(database_url):
    with psycopg.connect(
        database_url, autocommit=True, options="-c search_path=chronolake,public -c timezone=UTC"
    ) as opened:
        yield opened


def told(conn, table):
    """The rows as the driver reads them, one by one."""
    names = [column.name for column in table.stored]
    found = conn.execute(f"SELECT {', '.join(names)} FROM {table.postgres_table}").fetchall()
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    arrays = [
        pa.array(
            [value.bytes if isinstance(value, uuid.UUID) else value for value in column], table[name].arrow
        )
        for name, column in zip(names, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)


def capture(number, *, batch_id=1, toast=0, seed=0):
    """A capture; with `toast`, a line so long and random that PostgreSQL keeps it apart from its row."""
    line = random.Random(number * 7919 + seed).randbytes(toast) if toast else None
    return (
        uuid.UUID(int=(number * 0x9E3779B97F4A7C15) % 2**128),
        1,
        batch_id,
        "local",
        f"http://d{number % 89}.example/{number}",
        f"example,d{number % 89})/{number}",
        f"d{number % 89}.example",
        datetime(2020, 1, 1) + timedelta(minutes=number),
        False,
        "response",
        number % 600,
        line,
    )


COLUMNS = (
    "id, project_id, batch_id, archive_source, url, url_key, domain, timestamp, timestamp_repaired, record_type,"
    " status_code, raw_line"
)


def insert(conn, captures):
    with conn.cursor() as cursor, cursor.copy(f"COPY cdx_records ({COLUMNS}) FROM STDIN") as copy:
        for one in captures:
            copy.write_row(one)


def key(number):
    return capture(number)[0]


def states(services):
    return {table.table_name: table for table in services.sync.status().tables}


def count(lake, table="cdx_records"):
    with lake.cursor() as cursor:
        return cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


class Writer(threading.Thread):
    """Inserts, updates, moves and deletes captures until it is told to stop."""

    def __init__(self, url, first):
        super().__init__(daemon=True)
        self._url, self._first, self.done = url, first, 0
        self.stopped = threading.Event()

    def run(self):
        chance, next_number = random.Random(1), self._first
        with psycopg.connect(self._url, options="-c search_path=chronolake,public") as conn:
            while not self.stopped.is_set():
                with conn.transaction():
                    for _ in range(chance.randrange(1, 6)):
                        self._change(conn, chance, next_number)
                        next_number += 1
                        self.done += 1

    def _change(self, conn, chance, number):
        victim = key(chance.randrange(number))
        match chance.randrange(6):
            case 0 | 1:
                insert(conn, [capture(number, toast=4000 if number % 3 == 0 else 0)])
            case 2 | 3:
                conn.execute("UPDATE cdx_records SET status_code = %s WHERE id = %s", [number, victim])
            case 4:
                conn.execute("UPDATE cdx_records SET id = %s WHERE id = %s", [key(number), victim])
            case 5:
                conn.execute("DELETE FROM cdx_records WHERE id = %s", [victim])


@pytest.fixture
def writer(database_url):
    started = Writer(database_url, ROWS)
    yield started
    started.stopped.set()
    if started.ident:
        started.join()


def fill(conn):
    insert(conn, (capture(number, toast=4000 if number % 10 == 0 else 0) for number in range(ROWS)))


def fail_at(monkeypatch, count):
    faults._reached.clear()
    monkeypatch.setenv("CHRONOLAKE_FAULT", f"sync.backfill_range@{count}:error")


def test_rows_that_are_there_and_rows_that_come_meanwhile(make_settings, conn, writer):
    fill(conn)
    with open_services(make_settings()) as services:
        writer.start()
        services.sync.reach()
        services.sync.backfill(list(TABLES))
        with services.sync.following():
            services.sync.backfill(["cdx_records"])
        writer.stopped.set()
        writer.join()
        services.sync.worker.start()
        services.sync.reach()
        services.sync.worker.stop()
        assert writer.done > 50
        assert differences(services.database, services.lake) == []
        assert {table.state for table in states(services).values()} == {TableState.STREAMING}


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_of_several_snapshots_ends_equal(make_settings, conn, writer, monkeypatch, seed):
    fill(conn)
    with open_services(make_settings()) as services:
        writer.start()
        # Each try makes two or three ranges, in a snapshot of its own, between which much is written.
        for _ in range(4):
            fail_at(monkeypatch, 2 + seed % 2)
            with pytest.raises(SyncError, match="fault armed"):
                services.sync.reach()
            writer.join(0.3)
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        services.sync.reach()
        writer.stopped.set()
        writer.join()
        services.sync.reach()
        assert differences(services.database, services.lake) == []
        services.sync.reach()
        assert {table.state for table in states(services).values()} == {TableState.STREAMING}


def blocks_of(conn, ids):
    return [
        row[0]
        for row in conn.execute(
            "SELECT (ctid::text::point)[0]::int FROM cdx_records WHERE id = ANY(%s)", [ids]
        )
    ]


def test_a_row_that_moves_between_ranges_while_its_long_value_stays(make_settings, conn, monkeypatch):
    monkeypatch.setattr(backfill, "MOST_WORKERS", 1)
    fill(conn)
    moving = [key(number) for number in range(ROWS - 200, ROWS, 10)]
    with open_services(make_settings()) as services:
        fail_at(monkeypatch, 1)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        with services.database.connection() as pooled:
            edge = backfills.ranges(pooled, "cdx_records")[0].upper
        # Room in the first range's blocks, which are copied already, is taken by rows of the last one's.
        conn.execute("DELETE FROM cdx_records WHERE id = ANY(%s)", [[key(n) for n in range(300) if n % 10]])
        conn.execute("VACUUM cdx_records")
        conn.execute("UPDATE cdx_records SET status_code = 777 WHERE id = ANY(%s)", [moving])
        assert min(blocks_of(conn, moving)) < edge
        # And what it has is called otherwise now, deleted, and deleted and stored again.
        conn.execute("UPDATE cdx_records SET id = %s WHERE id = %s", [uuid.UUID(int=5), moving[0]])
        conn.execute("DELETE FROM cdx_records WHERE id = ANY(%s)", [[moving[1], moving[2]]])
        insert(conn, [capture(ROWS - 180, toast=3000, seed=1)])
        conn.execute("UPDATE cdx_records SET status_code = 3 WHERE id = %s", [key(ROWS - 180)])
        services.sync.reach()
        assert differences(services.database, services.lake) == []


def test_a_table_emptied_between_two_snapshots(make_settings, conn, monkeypatch):
    fill(conn)
    with open_services(make_settings()) as services:
        fail_at(monkeypatch, 3)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        conn.execute("TRUNCATE cdx_records")
        insert(conn, map(capture, range(100)))
        services.sync.reach()
        assert differences(services.database, services.lake) == []


def test_rewritten_between_two_snapshots_the_copy_begins_anew(make_settings, conn, monkeypatch):
    fill(conn)
    with open_services(make_settings()) as services:
        fail_at(monkeypatch, 3)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        conn.execute("DELETE FROM cdx_records WHERE status_code < 300")
        conn.execute("VACUUM FULL cdx_records")
        services.sync.reach()
        assert differences(services.database, services.lake) == []


def ingest_owing(services, conn, path, monkeypatch):
    """Store captures of a file by dual write; their batch stays in the ledger, for nobody leads meanwhile."""
    conn.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK])
    monkeypatch.setenv("CHRONOLAKE_FAULT", "ingest.after_postgres:error")
    with pytest.raises(OSError, match="fault armed"):
        services.pipeline.ingest(IngestRequest(paths=(str(path),), project=path.stem))
    monkeypatch.delenv("CHRONOLAKE_FAULT")
    conn.execute("SELECT pg_advisory_unlock(%s)", [LEADER_LOCK])


def write_cdx(path, count):
    path.write_text(
        " CDX N b a m s k r M S V g\n"
        + "".join(
            f"com,{path.stem})/{n} 20200102030405 http://{path.stem}.com/{n} text/html 200 {'B' * 32} - - 123 {n} w.gz\n"
            for n in range(count)
        )
    )
    return path


def test_batches_that_the_lake_owes_while_a_table_is_copied(make_settings, conn, monkeypatch, tmp_path):
    fill(conn)
    with open_services(make_settings()) as services:
        # One that the first snapshot sees, and that was changed since; one between two snapshots, changed too.
        ingest_owing(services, conn, write_cdx(tmp_path / "before.cdx", 300), monkeypatch)
        conn.execute("UPDATE cdx_records SET status_code = 301 WHERE url LIKE 'http://before.com/1%'")
        fail_at(monkeypatch, 2)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        faults._reached.clear()
        ingest_owing(services, conn, write_cdx(tmp_path / "between.cdx", 300), monkeypatch)
        conn.execute("UPDATE cdx_records SET status_code = 302 WHERE url LIKE 'http://between.com/1%'")
        conn.execute("DELETE FROM cdx_records WHERE url LIKE 'http://between.com/2%'")
        fail_at(monkeypatch, 2)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        owed = "SELECT count(*) FROM ledger WHERE applied_snapshot IS NULL"
        assert conn.execute(owed).fetchone() == (2,)
        services.sync.reach()
        assert conn.execute(owed).fetchone() == (0,)
        assert differences(services.database, services.lake) == []


SCRIPT = (
    "from chronolake.sync import backfill; backfill.RANGE_ROWS = 500; from chronolake.cli import main; main()"
)


@pytest.mark.slow
def test_killed_after_a_range_it_goes_on_from_there(make_settings, conn, database_url, tmp_path):
    fill(conn)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": database_url,
        "CHRONOLAKE_HOME": str(tmp_path / "home"),
    }
    with open_services(make_settings()) as services:
        services.sync.reach()
    command = [sys.executable, "-c", SCRIPT, "sync", "backfill", "--table", "cdx_records", "--json"]
    killed = subprocess.run(
        command,
        env=environment | {"CHRONOLAKE_FAULT": "sync.backfill_range@3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = conn.execute("SELECT file FROM sync_backfill_ranges WHERE state = 'staged'").fetchall()
    assert len(before) >= 3
    staged = {file["path"] for (text,) in before for file in json.loads(text)["files"]}
    conn.execute("UPDATE cdx_records SET status_code = 1 WHERE id = %s", [key(7)])
    noted = conn.execute("SELECT count(*) FROM sync_backfill_ranges").fetchone()[0]
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)["tables"][0]
    assert told["ranges_done"] == told["ranges_total"] == noted
    # What was copied by then is what the lake holds, and no range became other files.
    live = {row[0] for row in conn.execute("SELECT path FROM chronolake_lake.ducklake_data_file")}
    assert staged <= live
    assert staged
    # The temporary slots are gone, and with them what keeps the WAL.
    slots = conn.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
    assert len(slots.fetchall()) == 1
    with open_services(make_settings()) as services:
        services.sync.reach()
        assert differences(services.database, services.lake) == []


def test_a_lost_slot_begins_a_new_epoch_and_readers_see_the_old_data_meanwhile(
    make_settings, conn, monkeypatch
):
    fill(conn)
    with open_services(make_settings()) as services:
        services.sync.reach()
        held = services.lake.stream_checkpoint()
        with services.database.connection() as pooled:
            name = replication.slot_name(pooled)
        conn.execute("SELECT pg_drop_replication_slot(%s)", [name])
        insert(conn, map(capture, range(ROWS, ROWS + 500)))
        conn.execute("DELETE FROM cdx_records WHERE id = %s", [key(1)])
        fail_at(monkeypatch, 4)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        assert count(services.lake) == ROWS
        assert services.lake.stream_checkpoint().epoch == held.epoch
        assert services.sync.status().state == "copying"
        services.sync.reach()
        assert count(services.lake) == ROWS + 499
        assert services.lake.stream_checkpoint().epoch != held.epoch
        assert differences(services.database, services.lake) == []
        slots = conn.execute("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()")
        assert slots.fetchone() == (1,)


def test_one_table_alone(make_settings, conn):
    fill(conn)
    conn.execute("INSERT INTO domains (domain) VALUES ('a.example'), ('b.example')")
    with open_services(make_settings()) as services:
        services.sync.reach()
        before = {table.name: table for table in services.lake.info().tables}
        # Somebody harms the lake's domains.
        with services.lake.cursor() as cursor:
            cursor.execute("DELETE FROM domains")
        assert differences(services.database, services.lake, [DOMAINS]) != []
        [told] = services.sync.backfill(["domains"])
        assert (told.state, told.rows_done, told.ranges_done) == (TableState.STREAMING, 2, 1)
        assert differences(services.database, services.lake) == []
        after = {table.name: table for table in services.lake.info().tables}
        assert after["cdx_records"] == before["cdx_records"]


def test_a_table_that_is_new_to_the_sync_is_copied_alone(make_settings, conn):
    with open_services(make_settings()) as services:
        services.sync.reach()
        conn.execute("INSERT INTO domains (domain) VALUES ('a.example')")
        conn.execute("DELETE FROM sync_tables WHERE table_name = 'domains'")
        services.sync.reach()
        assert states(services)["domains"].rows_done == 1
        assert differences(services.database, services.lake) == []


def test_a_table_that_cannot_be_copied_is_parked_and_the_others_go_on(make_settings, conn):
    with open_services(make_settings()) as services:
        services.sync.reach()
        conn.execute("ALTER TABLE search_history RENAME COLUMN engine TO motor")
        services.sync.backfill(["search_history", "cdx_records"])
        found = states(services)
        assert found["search_history"].state == TableState.PARKED
        assert "engine" in found["search_history"].last_error
        # What was copied before the other one failed is of another snapshot than the rest.
        assert found["cdx_records"].state in {TableState.STREAMING, TableState.CATCHING_UP}
        fill(conn)
        conn.execute("ALTER TABLE search_history RENAME COLUMN motor TO engine")
        conn.execute("INSERT INTO search_history (question, searched_at) VALUES ('q', now())")
        services.sync.worker.start()
        services.sync.reach()
        services.sync.worker.stop()
        assert differences(services.database, services.lake, [CDX_RECORDS]) == []
        assert count(services.lake, "search_history") == 0
        services.sync.backfill(["search_history"])
        assert differences(services.database, services.lake) == []


def test_a_value_that_the_lake_cannot_hold_is_kept_apart(make_settings, conn):
    insert(conn, map(capture, range(10)))
    conn.execute("UPDATE cdx_records SET timestamp = 'infinity' WHERE id = %s", [key(3)])
    with open_services(make_settings()) as services:
        services.sync.reach()
        assert count(services.lake) == 9
        assert services.sync.status().dead_letters == 1


def more(lake):
    with lake.cursor() as cursor:
        return cursor.execute("SELECT question, extra, mood FROM search_history ORDER BY question").fetchall()


def test_columns_beyond_the_registry_are_copied(make_settings, conn):
    conn.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')")
    conn.execute("ALTER TABLE search_history ADD COLUMN extra jsonb, ADD COLUMN mood mood")
    conn.execute(
        "INSERT INTO search_history (question, searched_at, extra, mood) VALUES"
        """ ('a', now(), '{"b": [1, null]}', 'sad'), ('c', now(), null, null)"""
    )
    with open_services(make_settings()) as services:
        services.sync.reach()
        found = [("a", '{"b": [1, null]}', "sad"), ("c", None, None)]
        assert more(services.lake) == found
        conn.execute("UPDATE search_history SET mood = 'glad' WHERE question = 'c'")
        [told] = services.sync.backfill(["search_history"])
        assert told.state == TableState.STREAMING
        found[1] = ("c", None, "glad")
        assert more(services.lake) == found
        conn.execute("UPDATE search_history SET extra = '7' WHERE question = 'c'")
        services.sync.reach()
        found[1] = ("c", "7", "glad")
        assert more(services.lake) == found


@pytest.mark.parametrize(
    "change",
    [
        "ADD COLUMN extra text DEFAULT 'x'",
        # The name stays, the values do not.
        "DROP COLUMN note, ADD COLUMN note text",
    ],
)
def test_another_shape_between_two_snapshots_the_copy_begins_anew(make_settings, conn, monkeypatch, change):
    conn.execute("ALTER TABLE cdx_records ADD COLUMN note text DEFAULT 'old'")
    fill(conn)
    with open_services(make_settings()) as services:
        fail_at(monkeypatch, 3)
        with pytest.raises(SyncError, match="fault armed"):
            services.sync.reach()
        monkeypatch.delenv("CHRONOLAKE_FAULT")
        conn.execute(f"ALTER TABLE cdx_records {change}")
        conn.execute("UPDATE cdx_records SET note = 'new' WHERE status_code < 300")
        services.sync.reach()
        assert differences(services.database, services.lake) == []
        told = "SELECT note, count(*) FROM cdx_records GROUP BY ALL ORDER BY ALL"
        with services.lake.cursor() as cursor:
            assert set(cursor.execute(told).fetchall()) == set(
                conn.execute("SELECT note, count(*) FROM cdx_records GROUP BY note").fetchall()
            )


def test_a_new_epoch_copies_the_operators_tables_too(make_settings, conn):
    conn.execute("CREATE TABLE notes (id bigint PRIMARY KEY, a text)")
    conn.execute("INSERT INTO notes VALUES (1, 'x')")
    with open_services(make_settings()) as services:
        services.sync.reach()
        conn.execute("ALTER PUBLICATION chronolake ADD TABLE notes")
        services.sync.reach()
        with services.database.connection() as pooled:
            name = replication.slot_name(pooled)
        conn.execute("SELECT pg_drop_replication_slot(%s)", [name])
        conn.execute("INSERT INTO notes VALUES (2, 'y')")
        services.sync.reach()
        assert count(services.lake, "notes") == 2
        assert states(services)["notes"].state == TableState.STREAMING


# What is copied out, beside what the driver reads.

REALS = st.floats(width=32) | st.sampled_from([float("nan"), float("inf"), float("-inf"), -0.0])
DOUBLES = st.floats() | st.sampled_from([float("nan"), float("inf"), float("-inf")])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))


@pytest.fixture
def connected(database):
    """Its pool has connected: it draws from `random` then, in a thread, which must not fall into the drawing of rows."""
    with database.connection():
        pass
    return database


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.none() | TEXTS,
            TIMES,
            st.booleans(),
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.binary(max_size=30),
        ),
        max_size=12,
    ),
    st.lists(st.tuples(st.none() | REALS, st.dates(), st.none() | TEXTS), max_size=8),
)
def test_what_is_copied_out_is_what_the_driver_reads(connected, captures, pages):
    with connected.connection() as conn:
        conn.execute("TRUNCATE cdx_records, pages")
        for number, (text, time, flag, small, big, line) in enumerate(captures):
            conn.execute(
                f"INSERT INTO cdx_records ({COLUMNS}, content_length, mime_type) VALUES ("
                + ", ".join(["%s"] * 14)
                + ")",
                [*capture(number)[:7], time, flag, "response", small, line, big, text],
            )
        for number, (score, day, text) in enumerate(pages):
            conn.execute(
                "INSERT INTO pages (page_id, project_id, batch_id, url, domain, quality_score, date_captured,"
                " extraction_timestamp, language) VALUES (%s, 1, 1, '', '', %s, %s, 'epoch', %s)",
                [key(number), score, day, text],
            )
    for table in (CDX_RECORDS, CONTENT_ANALYTICS):
        with connected.connection() as conn:
            assert repr(scan.of_batch(conn, table, 1).fitting.to_pydict()) == repr(
                told(conn, table).to_pydict()
            )


def test_every_type_of_every_table_is_copied_out(make_settings, conn):
    conn.execute("INSERT INTO projects (name) VALUES ('p')")
    conn.execute(
        "INSERT INTO archive_request_attempts (archive_source, outcome, latency_ms, requested_at)"
        " VALUES ('w', 'ok', 'NaN', '2020-01-01 00:00:00.123456+02'), ('w', 'ok', '-Infinity', '0044-03-15 BC')"
    )
    conn.execute(
        "INSERT INTO search_history (question, elapsed_ms, searched_at) VALUES ('q', 1e-300, 'epoch')"
    )
    with open_services(make_settings()) as services, services.database.connection() as pooled:
        for table in (PROJECTS, ARCHIVE_REQUEST_ATTEMPTS, SEARCH_HISTORY):
            assert sum(piece.rows.num_rows for piece in scan.whole(pooled, table)) > 0
        services.sync.reach()
        with services.lake.cursor() as cursor:
            times = cursor.execute("SELECT requested_at::VARCHAR FROM archive_request_attempts").fetchall()
    assert any("BC" in time for (time,) in times)
