"""What the sync promises, one test each: real server, real lake, and both compared row by row afterwards."""

import hashlib
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from chronolake import faults
from chronolake.errors import ChronolakeError, LakeBusy
from chronolake.ingest import IngestRequest, ParquetPipeline
from chronolake.lake import Lake
from chronolake.loop import LoopState
from chronolake.oltp import Database, replication
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.sync import DataSyncService, backfill
from chronolake.sync.leader import LEADER_LOCK
from chronolake.testing import differences

#: More than 8 kB that no compression makes small, so that PostgreSQL keeps it outside the row.
LARGE = "(SELECT string_agg(md5(random()::text || n), '') FROM generate_series(1, 400) n)"
LONG = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(150))
HEADER = " CDX N b a m s k r M S V g\n"


def uid(n):
    return f"md5('{n}')::uuid"


def capture(n, *, url="'http://host.example/'", raw="NULL"):
    return (
        "INSERT INTO cdx_records (id, project_id, batch_id, archive_source, url, url_key, domain, timestamp,"
        f" timestamp_repaired, record_type, raw_line) VALUES ({uid(n)}, 1, 0, 'local', {url}, 'example,host)/',"
        f" 'host-{n % 3}.example', timestamp '2020-01-01' + {n} * interval '7 hours', false, 'response', {raw})"
    )


def captures(first, last):
    return [capture(n) for n in range(first, last + 1)]


def page(n):
    return (
        "INSERT INTO pages (page_id, project_id, batch_id, url, domain, quality_score, extraction_timestamp,"
        f" date_captured, title, text) VALUES ({uid(n)}, 1, 0, {LARGE}, 'host.example', 0.3, '2021-02-03',"
        f" '2020-02-03', 'title', {LARGE})"
    )


#: One row or more of each synced table.
EVERY_TABLE = [
    "INSERT INTO projects (name) VALUES ('news'), ('ünïcode, \"quoted\"')",
    "INSERT INTO domains (domain, tld) VALUES ('host.example', 'example'), ('', NULL)",
    "INSERT INTO scrape_sessions (project_id, archive_source) SELECT id, 'wayback' FROM projects",
    "INSERT INTO archive_request_attempts (session_id, archive_source, outcome, latency_ms)"
    " SELECT id, 'wayback', 'ok', 0.1 FROM scrape_sessions",
    "INSERT INTO page_entities (page_id, project_id, domain, kind, value, extractor, extraction_timestamp,"
    " date_captured) SELECT md5('1')::uuid, 1, 'host.example', 'person', 'p' || n, 'x', now(), now()"
    " FROM generate_series(1, 7) n",
    "INSERT INTO search_history (question) VALUES ('sql'), ('search')",
    page(1),
    page(2),
    *captures(1, 4),
]

#: By name: transactions one after the other, each a list of statements.
STORIES = {
    "rows of every table come": [EVERY_TABLE],
    "rows of every table change": [
        EVERY_TABLE,
        [
            "UPDATE projects SET name = name || '!'",
            "UPDATE domains SET tld = 'x'",
            "UPDATE scrape_sessions SET state = 'done', finished_at = now(), read = 7",
            "UPDATE archive_request_attempts SET latency_ms = NULL, bytes = 1 << 30",
            "UPDATE page_entities SET count = 3, confidence = 0.1 WHERE id % 2 = 0",
            "UPDATE search_history SET engine = 'duckdb'",
            "UPDATE pages SET word_count = 3",
            "UPDATE cdx_records SET status_code = 404",
        ],
    ],
    "rows of every table go": [
        EVERY_TABLE,
        [
            "DELETE FROM archive_request_attempts WHERE id = 1",
            "DELETE FROM archive_request_attempts",
            "DELETE FROM scrape_sessions",
            "DELETE FROM projects WHERE name = 'news'",
            "DELETE FROM domains WHERE domain = ''",
            "DELETE FROM page_entities WHERE id > 2",
            "DELETE FROM search_history",
            "DELETE FROM pages WHERE page_id = md5('1')::uuid",
            "DELETE FROM cdx_records WHERE id <> md5('1')::uuid",
        ],
    ],
    "key columns change": [
        [*captures(1, 5), "INSERT INTO domains (domain) VALUES ('a'), ('b')", page(1)],
        ["UPDATE cdx_records SET domain = 'moved.example', timestamp = timestamp + interval '1 year'"],
        [f"UPDATE cdx_records SET id = {uid('new')} WHERE id = {uid(1)}", "UPDATE domains SET domain = domain || 'x'"],
        [f"UPDATE pages SET page_id = {uid('new')}, extraction_timestamp = now()"],
        [f"UPDATE cdx_records SET id = {uid('newer')}, domain = 'again' WHERE id = {uid('new')}"],
    ],
    "keys chase each other": [
        ["INSERT INTO domains (domain, tld) VALUES ('a', '1'), ('b', '2'), ('c', '3')"],
        ["UPDATE domains SET domain = 'd' WHERE domain = 'c'", "UPDATE domains SET domain = 'c' WHERE domain = 'b'"],
        ["UPDATE domains SET domain = 'b' WHERE domain = 'a'", "UPDATE domains SET domain = 'a' WHERE domain = 'd'"],
    ],
    "two rows swap their keys": [
        ["INSERT INTO domains (domain, tld) VALUES ('a', 'of-a'), ('b', 'of-b')"],
        [
            "UPDATE domains SET domain = 'swap' WHERE domain = 'a'",
            "UPDATE domains SET domain = 'a' WHERE domain = 'b'",
            "UPDATE domains SET domain = 'b' WHERE domain = 'swap'",
        ],
    ],
    "a key is deleted and inserted in one transaction": [
        captures(1, 2),
        [f"DELETE FROM cdx_records WHERE id = {uid(1)}", capture(1, url="'http://second/'")],
        [
            f"DELETE FROM cdx_records WHERE id = {uid(1)}",
            capture(1),
            f"DELETE FROM cdx_records WHERE id = {uid(1)}",
        ],
    ],
    "a key is deleted and inserted again later": [
        captures(1, 2),
        [f"DELETE FROM cdx_records WHERE id = {uid(1)}"],
        [capture(1, url="'http://second/'")],
        [f"UPDATE cdx_records SET status_code = 200 WHERE id = {uid(1)}"],
    ],
    "rows come and go at once": [
        [*captures(1, 3), "DELETE FROM cdx_records"],
        captures(1, 3),
        ["DELETE FROM cdx_records"],
    ],
    "values outside the row stay as they are": [
        [capture(1, url=LARGE, raw=f"{LARGE}::bytea"), capture(2, url=LARGE), page(1)],
        ["UPDATE cdx_records SET status_code = 1", "UPDATE pages SET word_count = 1"],
        ["UPDATE cdx_records SET status_code = 2", "UPDATE cdx_records SET mime_type = 'x'"],
        [f"UPDATE cdx_records SET url = {LARGE} WHERE id = {uid(1)}", "UPDATE cdx_records SET status_code = 3"],
        ["UPDATE cdx_records SET raw_line = NULL, charset = 'y'", "UPDATE cdx_records SET status_code = 4"],
    ],
    "values outside the row move with their key": [
        [capture(1, url=LARGE, raw=f"{LARGE}::bytea"), capture(2, url=LARGE)],
        [f"UPDATE cdx_records SET id = {uid('a')}, status_code = 1 WHERE id = {uid(1)}"],
        [
            f"UPDATE cdx_records SET id = {uid('b')} WHERE id = {uid('a')}",
            f"UPDATE cdx_records SET id = {uid('a')} WHERE id = {uid(2)}",
            f"UPDATE cdx_records SET id = {uid(2)} WHERE id = {uid('b')}",
            "UPDATE cdx_records SET status_code = 7",
        ],
    ],
    "a table is truncated": [EVERY_TABLE, ["TRUNCATE cdx_records"], ["TRUNCATE pages, domains, page_entities"]],
    "a table is truncated and filled": [
        captures(1, 9),
        ["DELETE FROM cdx_records WHERE status_code IS NULL AND id = md5('3')::uuid", "TRUNCATE cdx_records",
         *captures(5, 12), "UPDATE cdx_records SET status_code = 5"],
        [capture(20), "TRUNCATE cdx_records", "TRUNCATE cdx_records", capture(1)],
    ],
    "tables are truncated with those that refer to them": [
        EVERY_TABLE,
        ["TRUNCATE projects CASCADE", "INSERT INTO projects (name) VALUES ('after')"],
        ["TRUNCATE projects RESTART IDENTITY CASCADE", "INSERT INTO projects (name) VALUES ('first again')"],
    ],
    "a truncation is rolled back": [
        captures(1, 3),
        ["SAVEPOINT s", "TRUNCATE cdx_records", capture(9), "ROLLBACK TO s", capture(4)],
    ],
    "savepoints are rolled back": [
        [
            *captures(1, 3), "SAVEPOINT s", *captures(4, 6), "DELETE FROM cdx_records", "ROLLBACK TO s",
            "SAVEPOINT t", capture(7), "SAVEPOINT u", capture(8), "ROLLBACK TO u", "RELEASE t",
            "UPDATE cdx_records SET status_code = 5",
        ],
    ],
}  # fmt: skip


class World:
    """Open services, SQL, and the comparison."""

    def __init__(self, services):
        self.services = services
        self.database, self.lake, self.sync = services.database, services.lake, services.sync

    def run(self, *statements):
        """One transaction."""
        with self.database.connection() as conn:
            for statement in statements:
                conn.execute(statement)

    def one(self, statement, *given):
        with self.database.connection() as conn:
            return conn.execute(statement, given).fetchone()

    def equal(self):
        self.sync.reach()
        assert differences(self.database, self.lake) == []

    def ingest(self, path, project="news"):
        return self.services.pipeline.ingest(IngestRequest(paths=(str(path),), project=project))


@pytest.fixture
def open_world(database, make_settings):
    """Open services on the test's database with settings."""

    @contextmanager
    def opened(**variables):
        with open_services(make_settings(CHRONOLAKE_INGEST_BATCH_ROWS=100, **variables)) as services:
            yield World(services)

    return opened


@pytest.fixture
def world(open_world):
    with open_world() as opened:
        yield opened


@pytest.fixture
def cdx(tmp_path):
    """A file of 250 captures, three batches."""

    def written(name="sample", first=0, count=250, more=""):
        path = tmp_path / f"{name}.cdx"
        path.write_text(
            HEADER
            + "".join(
                f"com,host-{n % 7})/{n} 20200102030405 http://host-{n % 7}.com/{n}{more} text/html 200 {'B' * 32}"
                f" - - 123 {n} crawl.warc.gz\n"
                for n in range(first, first + count)
            )
        )
        return path

    return written


@pytest.mark.parametrize("at_once", [True, False], ids=["at_once", "one_by_one"])
def test_every_story_ends_equal(world, at_once):
    """At once, all of a story comes in one stretch and is folded; one by one, each change meets what the lake holds."""
    for name, story in STORIES.items():
        world.run(
            "TRUNCATE projects, domains, cdx_records, pages, page_entities, search_history RESTART IDENTITY CASCADE"
        )
        world.sync.reach()
        for transaction in story:
            world.run(*transaction)
            if not at_once:
                world.sync.reach()
        world.sync.reach()
        assert differences(world.database, world.lake) == [], name


def test_what_was_there_before_the_sync_is_copied(world):
    world.run(*EVERY_TABLE)
    world.equal()


# Transactions that are streamed before they commit.


@pytest.fixture
def streaming(world):
    """Whatever is more than 64 kB is streamed; the setting holds for connections to come."""
    world.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database());"
        " END $$"
    )
    return world


def bulk(first, last):
    return (
        "INSERT INTO cdx_records (id, project_id, batch_id, archive_source, url, url_key, domain, timestamp,"
        " timestamp_repaired, record_type) SELECT md5(n::text)::uuid, 1, 0, 'local', 'http://host/' || n, 'k',"
        " 'host-' || n % 5, timestamp '2020-01-01' + n * interval '1 hour', false, 'response'"
        f" FROM generate_series({first}, {last}) n"
    )


def streamed(world):
    return world.one("SELECT stream_txns, stream_count FROM pg_stat_replication_slots JOIN pg_replication_slots"
                     " USING (slot_name) WHERE database = current_database()")  # fmt: skip


def test_a_large_transaction_is_streamed(streaming):
    streaming.sync.reach()
    with streaming.sync.following():
        with streaming.database.connection() as conn:
            conn.execute(bulk(1, 3000))
            conn.execute("SAVEPOINT s")
            conn.execute(bulk(3001, 6000))
            conn.execute("UPDATE cdx_records SET status_code = 500")
            conn.execute("ROLLBACK TO s")
            conn.execute("SAVEPOINT t")
            conn.execute(bulk(6001, 8000))
            conn.execute("RELEASE t")
            conn.execute("DELETE FROM cdx_records WHERE domain = 'host-1'")
            conn.execute("UPDATE cdx_records SET status_code = 200 WHERE domain = 'host-2'")
            assert streaming.one("SELECT count(*) FROM cdx_records") == (0,)
        streaming.equal()
    assert streaming.lake.snapshot()


def test_a_small_transaction_right_after_the_first_streamed_one(streaming):
    """The server tells of a relation only in the streamed one, and both are read before either is applied."""
    streaming.sync.reach()
    streaming.run(bulk(1, 3000))
    streaming.run(bulk(3001, 3002))
    streaming.run("UPDATE cdx_records SET status_code = 1 WHERE domain = 'host-1'")
    streaming.equal()


def test_a_streamed_transaction_truncates_in_between(streaming):
    streaming.run(bulk(1, 500))
    streaming.sync.reach()
    streaming.run(
        bulk(501, 3000),
        "TRUNCATE cdx_records",
        bulk(400, 4000),
        "DELETE FROM cdx_records WHERE domain = 'host-3'",
    )
    streaming.equal()


def test_a_streamed_transaction_in_many_pieces(streaming, monkeypatch):
    """Pieces of one commit find the rows of those before them."""
    monkeypatch.setattr("chronolake.sync.transactions.ROWS_PER_PIECE", 300)
    streaming.run(bulk(1, 100), capture(-1, url=LARGE))
    streaming.sync.reach()
    streaming.run(
        bulk(101, 1500),
        "UPDATE cdx_records SET status_code = 1",
        "UPDATE cdx_records SET id = md5('x' || status_code || id::text)::uuid WHERE domain = 'host-1'",
        "DELETE FROM cdx_records WHERE domain = 'host-2'",
        bulk(2000, 3000),
        "UPDATE cdx_records SET status_code = 2 WHERE domain = 'host-2'",
    )
    streaming.equal()


def test_streamed_transactions_that_overlap(streaming):
    streaming.sync.reach()
    with streaming.sync.following():
        with streaming.database.connection() as one, streaming.database.connection() as two:
            one.execute(bulk(1, 1500))
            two.execute(bulk(10_001, 11_500))
            one.execute(bulk(1501, 3000))
            two.execute("SAVEPOINT s")
            two.execute(bulk(11_501, 13_000))
            two.execute("ROLLBACK TO s")
            one.execute("UPDATE cdx_records SET status_code = 1")
            two.execute("DELETE FROM cdx_records WHERE domain = 'host-4'")
        with streaming.database.connection() as conn:
            conn.execute(bulk(20_000, 23_000))
            conn.rollback()
        streaming.run(bulk(30_000, 30_010))
        streaming.equal()


# Dual write.


@pytest.mark.parametrize("tagged", [True, False], ids=["origins", "no_origins"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at_once", "one_by_one"])
def test_changes_of_ingested_rows(open_world, cdx, monkeypatch, tagged, at_once):
    """Staged batches enter at their place in the stream, whether the stream shows their rows or not."""
    if not tagged:
        monkeypatch.setattr("chronolake.ingest.storer.Origins.tagging", _untagged)
    with open_world() as world:
        if at_once:
            world.sync.reach()
            # The ingest comes to its end without the lake.
            monkeypatch.setattr(type(world.sync), "reach", lambda self, lsn=None: None)
            monkeypatch.setattr(type(world.sync.worker), "start", lambda self: None)
        world.ingest(cdx("first"))
        world.run("UPDATE cdx_records SET status_code = 1 WHERE domain = 'host-1.com'")
        world.run("DELETE FROM cdx_records WHERE domain = 'host-2.com'")
        world.ingest(cdx("first"))
        world.run("UPDATE cdx_records SET status_code = 2, domain = 'elsewhere' WHERE domain = 'host-2.com'")
        world.ingest(cdx("second", 200, 150))
        world.run("DELETE FROM cdx_records WHERE domain = 'elsewhere'", capture(1))
        world.ingest(cdx("second", 200, 150), project="other")
        world.run("DELETE FROM cdx_records")
        world.ingest(cdx("second", 200, 150))
        world.run("TRUNCATE cdx_records", capture(2))
        world.ingest(cdx("third", 100, 200))
        world.run("UPDATE cdx_records SET status_code = 9")
        monkeypatch.undo()
        world.equal()
        assert world.one("SELECT count(*) FROM cdx_records") == (201,)
        assert world.one("SELECT count(*) FROM ledger WHERE applied_snapshot IS NULL") == (0,)


@contextmanager
def _untagged(_self, conn):
    yield
    conn.commit()


def test_a_role_that_may_only_replicate(open_world, database_url, make_settings, cdx):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "DO $$ BEGIN CREATE ROLE syncer LOGIN REPLICATION; EXCEPTION WHEN duplicate_object THEN END $$"
        )
        conn.execute("GRANT USAGE ON SCHEMA chronolake TO syncer")
        conn.execute("GRANT ALL ON ALL TABLES IN SCHEMA chronolake TO syncer")
        conn.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA chronolake TO syncer")
        conn.execute(
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO syncer', current_database()); END $$"
        )
    with open_world(DATABASE_URL=database_url.replace("//postgres@", "//syncer@")) as world:
        world.ingest(cdx("first"))
        world.run("UPDATE cdx_records SET status_code = 1 WHERE domain = 'host-1.com'")
        world.run("DELETE FROM cdx_records WHERE domain = 'host-2.com'")
        world.ingest(cdx("first"))
        world.equal()


@pytest.mark.parametrize("crash", [False, True], ids=["goes_on", "starts_anew"])
def test_a_staged_file_that_is_gone_and_what_became_of_its_rows(open_world, cdx, monkeypatch, crash):
    """The rows are read from PostgreSQL as they are now, and the stream still brings how they became so."""
    with open_world() as world:
        world.sync.reach()
        with monkeypatch.context() as patch:
            patch.setattr(type(world.sync), "reach", lambda self, lsn=None: None)
            patch.setattr(type(world.sync.worker), "start", lambda self: None)
            # Urls so long that PostgreSQL keeps them outside the row, and an update does not tell them.
            world.ingest(cdx(count=100, more=f"?{LONG}"))
            world.ingest(cdx("more", first=100, count=150))
        for path in world.services.settings.staging(world.database.instance).glob("*.arrow"):
            path.unlink()
        world.run(f"UPDATE cdx_records SET url = {LARGE} WHERE domain = 'host-6.com'")
        world.run("UPDATE cdx_records SET status_code = 2 WHERE domain IN ('host-1.com', 'host-6.com')")
        world.run("UPDATE cdx_records SET id = md5(id::text)::uuid WHERE domain = 'host-1.com'")
        world.run(
            "UPDATE cdx_records SET id = md5(id::text)::uuid, domain = 'new' WHERE domain = 'host-3.com'"
        )
        world.run("DELETE FROM cdx_records WHERE domain = 'host-4.com'")
        world.run(
            "CREATE TABLE public.aside AS SELECT * FROM cdx_records WHERE domain = 'host-5.com'",
            "DELETE FROM cdx_records WHERE domain = 'host-5.com'",
            "INSERT INTO cdx_records SELECT * FROM public.aside",
        )
        if crash:
            # The batch is in the lake and its file is gone, so that nobody will stage it again.
            with arm("lake.after_ledger"), pytest.raises(ChronolakeError, match="fault armed"):
                world.sync.reach()
            with open_world() as other:
                other.equal()
            return
        world.equal()


def test_a_promise_outlives_the_account_of_its_import(world, cdx):
    """Truncating projects takes the imports along, but not the rows, and so not what the lake is owed of them."""
    world.sync.reach()
    ParquetPipeline(database=world.database, follower=None, settings=world.services.settings).ingest(
        IngestRequest(paths=(str(cdx()),), project="news")
    )
    world.run("TRUNCATE projects CASCADE")
    assert world.one("SELECT count(*) FROM imports") == (0,)
    world.equal()
    assert world.one("SELECT count(*) FROM cdx_records") == (250,)


@contextmanager
def arm(point):
    """The point raises an error once within the block."""
    faults._reached.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHRONOLAKE_FAULT", f"{point}:error")
        yield


def test_without_dual_write_the_stream_brings_all(open_world, cdx):
    with open_world(ENABLE_DUAL_WRITE=False) as world:
        assert world.ingest(cdx()).in_lake
        assert world.one("SELECT count(*) FROM ledger") == (0,)
        world.run("UPDATE cdx_records SET status_code = 1 WHERE domain = 'host-1.com'")
        world.equal()


# Who leads.


def worker_process(settings, **variables):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATABASE_URL": settings.database.url.get_secret_value(),
        "CHRONOLAKE_HOME": str(settings.home.root),
        **variables,
    }
    command = [sys.executable, "-m", "chronolake", "sync", "run"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(condition, timeout_s=90.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def leader_pid(world):
    row = world.one("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted AND database ="
                    " (SELECT oid FROM pg_database WHERE datname = current_database())", LEADER_LOCK)  # fmt: skip
    return row and row[0]


@pytest.mark.slow
def test_a_second_worker_takes_over_from_one_that_is_killed(world):
    world.run(*EVERY_TABLE)
    processes = [worker_process(world.services.settings)]
    try:
        first = until(lambda: world.sync.status().state == "streaming" and world.sync.status().term)
        processes.append(worker_process(world.services.settings))
        # The second has come up, and stands by.
        until(lambda: world.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                " AND application_name = 'chronolake lake'")[0] >= 4)  # fmt: skip
        assert world.sync.status().term == first
        world.run(*captures(10, 20))
        processes[0].kill()
        world.run(*captures(21, 30))
        until(lambda: world.sync.status().term > first and world.sync.status().state == "streaming")
        world.equal()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_leader_whose_lock_was_cut_does_not_commit(world, open_world, monkeypatch):
    world.sync.reach()
    world.run(*captures(1, 5))
    taken = []
    apply_changes = Lake.apply_changes

    def cut(self, *given, **named):
        # Between the reading of the stretch and its commit another worker leads and brings the same.
        if not taken:
            taken.append(True)
            with world.database.connection() as conn:
                conn.execute("SELECT pg_terminate_backend(%s, 5000)", [leader_pid(world)])
            with open_world() as other:
                other.equal()
            monkeypatch.setattr("chronolake.sync.leader.Leadership.check", lambda self: None)
        return apply_changes(self, *given, **named)

    monkeypatch.setattr(Lake, "apply_changes", cut)
    world.equal()
    # The other's, and one more for this one's second try.
    assert world.lake.stream_checkpoint().term >= 3


def test_a_hung_leader_does_not_keep_the_slot(world, open_world):
    """Its stream is still open where only its lock was lost: whoever takes the term ends it."""
    world.sync.reach()
    with world.sync.following():
        until(lambda: leader_pid(world))
        with world.database.connection() as conn:
            conn.execute("SELECT pg_terminate_backend(%s, 5000)", [leader_pid(world)])
        world.run(*captures(1, 5))
        with open_world() as other:
            other.equal()
        # What this one tried meanwhile failed.
        until(lambda: not _fails(world.sync.reach))
        assert differences(world.database, world.lake) == []


def test_who_waits_is_not_kept_waiting_by_another_processs_leader(world, open_world, cdx, monkeypatch):
    """The leader lets a small batch lie, for more may come; whoever waits for it says so by the WAL."""
    monkeypatch.setattr("chronolake.sync.term.BATCH_LINGER_S", math.inf)
    world.sync.reach()
    with world.sync.following():
        until(lambda: leader_pid(world))
        with open_world(CHRONOLAKE_LAKE_LOCK_TIMEOUT_S=60) as other:
            other.ingest(cdx(count=9))
            other.equal()


# Slots and epochs.


def copies(monkeypatch):
    """Count the copies that are made."""
    made = []
    copy = backfill.Backfill.run
    monkeypatch.setattr(
        backfill.Backfill,
        "run",
        lambda self, *given, **more: (made.append(given), copy(self, *given, **more))[1],
    )
    return made


def test_a_restart_goes_on_at_the_checkpoint(world, open_world, monkeypatch):
    made = copies(monkeypatch)
    world.run(*EVERY_TABLE)
    world.equal()
    for n in range(3):
        world.run(*captures(10 + 10 * n, 15 + 10 * n))
        with open_world() as other:
            other.equal()
    assert len(made) == 1
    assert world.lake.stream_checkpoint().term == 4


def slot(world):
    with world.database.connection() as conn:
        return replication.slot_facts(conn, replication.slot_name(conn))


@pytest.mark.parametrize("harm", ["dropped", "recreated", "lake_older"])
def test_a_slot_that_is_another_begins_a_new_epoch(world, monkeypatch, cdx, harm):
    world.run(*EVERY_TABLE)
    world.ingest(cdx())
    world.equal()
    before = world.lake.stream_checkpoint().epoch
    made = copies(monkeypatch)
    until(lambda: slot(world).active_pid is None)
    name = slot(world).name
    if harm == "lake_older":
        world.run(f"SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())")
        world.run("DELETE FROM cdx_records WHERE domain = 'host-1.com'")
        world.run(f"SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())")
    else:
        world.run(f"SELECT pg_drop_replication_slot('{name}')")
        world.run(
            "UPDATE cdx_records SET status_code = 7", "DELETE FROM cdx_records WHERE domain = 'host-1.com'"
        )
        with monkeypatch.context() as patch:
            patch.setattr(type(world.sync), "reach", lambda self, lsn=None: None)
            patch.setattr(type(world.sync.worker), "start", lambda self: None)
            world.ingest(cdx("second", 200, 150))
        if harm == "recreated":
            world.run(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    world.run(*captures(10, 15))
    world.equal()
    assert len(made) == 1
    assert world.lake.stream_checkpoint().epoch != before
    world.run("UPDATE cdx_records SET status_code = 8")
    world.equal()
    assert len(made) == 1


def test_writes_that_concern_nobody_do_not_hold_wal(world):
    world.sync.reach()
    with world.sync.following():
        start = until(lambda: slot(world).active_pid and slot(world).confirmed_lsn)
        for _ in range(5):
            world.run("INSERT INTO users (email) SELECT md5(random()::text) FROM generate_series(1, 2000)")
        written = replication.parse_lsn(world.one("SELECT pg_current_wal_lsn()::text")[0])
        assert written > start
        until(lambda: slot(world).confirmed_lsn >= written)


# Failures.


@pytest.mark.parametrize("point", ["lake.before_commit", "lake.after_commit"])
def test_a_commit_that_fails_is_made_up_for(world, cdx, point):
    world.sync.reach()
    world.run(*captures(1, 5), page(1))
    with arm(point):
        with pytest.raises(ChronolakeError):
            world.sync.reach()
        world.equal()
    with arm(point), suppress(ChronolakeError):
        world.ingest(cdx())
    world.equal()
    assert world.one("SELECT count(*) FROM cdx_records") == (255,)


@pytest.mark.parametrize("point", ["lake.before_commit", "lake.after_commit", "lake.after_ledger"])
def test_a_running_worker_goes_on_after_a_commit_that_failed(world, cdx, point):
    world.sync.reach()
    with world.sync.following():
        until(lambda: leader_pid(world))
        with arm(point):
            ParquetPipeline(database=world.database, follower=None, settings=world.services.settings).ingest(
                IngestRequest(paths=(str(cdx()),), project="news")
            )
            world.run(*captures(1, 5))
            until(lambda: world.sync.worker.error is not None)
        until(lambda: world.sync.worker.error is None and leader_pid(world))
        world.run("UPDATE cdx_records SET status_code = 1")
        world.equal()
        assert world.sync.worker.state is LoopState.RUNNING


def test_connections_that_are_cut(world):
    """Whichever connections the server ends, the worker comes back and nothing is lost."""
    world.sync.reach()
    with world.sync.following():
        for n in range(4):
            world.run(*captures(10 * n, 10 * n + 5))
            with world.database.connection() as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name LIKE 'chronolake%'"
                )
            time.sleep(0.1 * n)
        world.run("DELETE FROM cdx_records WHERE domain = 'host-1.example'")
        until(lambda: not _fails(world.sync.reach))
        assert world.sync.worker.state is LoopState.RUNNING
        assert differences(world.database, world.lake) == []


def _fails(call):
    try:
        call()
    except ChronolakeError as error:
        return error
    return None


@pytest.mark.slow
def test_a_server_that_crashes_and_comes_back(tmp_path_factory):
    """`pg_ctl stop -m immediate` is what a crash is to the server: it recovers from its WAL at the next start."""
    with tempfile.TemporaryDirectory(prefix="chronolake-test-") as home:
        server = EmbeddedServer(Path(home) / "server")
        server.start()
        try:
            settings = load({"DATABASE_URL": server.url, "CHRONOLAKE_HOME": str(Path(home) / "home")})
            with Database.open(settings) as database, Lake.open(settings, database.url) as lake:
                sync = DataSyncService(database=database, lake=lake, settings=settings)
                sync.reach()
                with sync.following():
                    for n in range(2):
                        with database.connection() as conn:
                            for statement in captures(10 * n, 10 * n + 5):
                                conn.execute(statement)
                        server._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(server._data))
                        time.sleep(1)
                        server._launch()
                    until(lambda: not _fails(sync.reach))
                    assert sync.worker.state is LoopState.RUNNING
                    until(lambda: not _fails(lake.snapshot))
                    assert differences(database, lake) == []
        finally:
            server.stop()


def test_reach_waits_for_a_lake_that_is_busy_and_says_so(open_world):
    with open_world(CHRONOLAKE_LAKE_LOCK_TIMEOUT_S=0.5) as world:
        world.sync.reach()
        with psycopg.connect(world.database.url, autocommit=True) as conn:
            conn.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK])
            world.run(*captures(1, 2))
            with pytest.raises(LakeBusy):
                world.sync.reach()
        world.equal()


def test_reach_by_several_threads_at_once(world):
    world.run(*EVERY_TABLE)
    failed = []

    def reach():
        if error := _fails(world.sync.reach):
            failed.append(error)

    threads = [threading.Thread(target=reach) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    world.equal()
