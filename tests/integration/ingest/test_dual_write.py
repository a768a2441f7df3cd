"""Ingest through the real stores: both hold the same, whatever becomes of the staged files."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from chronolake.capture.columns import CONTENT_ANALYTICS
from chronolake.errors import DatabaseUnavailable, LakeBusy, StorageFull
from chronolake.ingest import IngestRequest, dual_write
from chronolake.lake import writer
from chronolake.oltp import ledger
from chronolake.services import open_services
from chronolake.sync.leader import LEADER_LOCK
from chronolake.testing import INGESTED, differences

HEADER = " CDX N b a m s k r M S V g\n"


def line(host, number, timestamp="20200102030405"):
    return (
        f"com,{host})/{number} {timestamp} http://{host}.com/{number} text/html 200 "
        f"{'B' * 32} - - 123 {number} crawl.warc.gz\n"
    )


def ingest(services, path, project="news"):
    return services.pipeline.ingest(IngestRequest(paths=(str(path),), project=project))


def staging_of(services):
    return services.settings.staging(services.database.instance)


@pytest.fixture
def services(database, make_settings):
    with open_services(make_settings(CHRONOLAKE_INGEST_BATCH_ROWS=100)) as opened:
        yield opened


@pytest.fixture
def unfollowed(services, monkeypatch):
    """Ingest as where the process dies before the lake has anything of it."""
    monkeypatch.setattr(services.pipeline, "_follower", None)


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "sample.cdx"
    path.write_text(HEADER + "".join(line(f"host-{n % 7}", n) for n in range(450)))
    return path


def test_both_stores_hold_the_same(services, sample):
    report = ingest(services, sample)
    assert (report.counts.read, report.counts.stored) == (450, 450)
    assert report.in_lake
    assert differences(services.database, services.lake, INGESTED) == []
    assert list(staging_of(services).glob("*")) == []
    with services.database.connection() as conn:
        # Batches are joined up to the setting, never beyond it.
        assert (
            conn.execute(
                "SELECT max(n) FROM (SELECT count(*) n FROM cdx_records GROUP BY batch_id)"
            ).fetchone()[0]
            <= 100
        )


def test_a_second_time_stores_nothing(services, sample):
    ingest(services, sample)
    snapshot = services.lake.snapshot()
    again = ingest(services, sample)
    assert (again.counts.stored, again.counts.duplicate) == (0, 450)
    assert services.lake.snapshot() == snapshot
    other = ingest(services, sample, project="other")
    assert other.counts.stored == 450
    assert differences(services.database, services.lake, INGESTED) == []


def test_every_line_is_accounted_for(services, tmp_path):
    path = tmp_path / "odd.cdx"
    good = line("good", 1)
    path.write_text(
        HEADER + good + good + line("bad", 2, "-") + "three words only\n" + line("r", 3, "20200012030405")
    )
    counts = ingest(services, path).counts
    assert counts.read == 5
    assert counts.read == counts.stored + counts.duplicate + counts.rejected
    assert (counts.stored, counts.duplicate, counts.rejected) == (2, 1, 2)
    assert counts.rejected_by_reason == {"no_timestamp": 1, "fields": 1}
    assert counts.repaired == 1
    with services.database.connection() as conn:
        kept = conn.execute("SELECT position, reason FROM quarantine ORDER BY position").fetchall()
        imported = conn.execute("SELECT state, read, stored, duplicate, rejected FROM imports").fetchall()
    assert kept == [(4, "no_timestamp"), (5, "fields")]
    assert imported == [("done", 5, 2, 1, 2)]


@pytest.mark.parametrize("harm", ["gone", "cut", "changed"])
@pytest.mark.usefixtures("unfollowed")
def test_a_harmed_staged_file_is_written_anew_from_postgresql(services, sample, harm):
    services.sync.reach()
    ingest(services, sample)
    for path in staging_of(services).glob("*.arrow"):
        content = path.read_bytes()
        if harm == "gone":
            path.unlink()
        elif harm == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    services.sync.reach()
    assert services.lake.info().document()["tables"][0]["rows"] == 450
    assert differences(services.database, services.lake, INGESTED) == []


def test_without_dual_write_the_stream_carries_everything(make_settings, sample):
    with open_services(make_settings(ENABLE_DUAL_WRITE=False)) as services:
        report = ingest(services, sample)
        assert (report.counts.stored, report.in_lake) == (450, True)
        with services.database.connection() as conn:
            assert conn.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
        assert differences(services.database, services.lake) == []


def test_one_leader_at_a_time(services, make_settings, sample):
    with services.database.connection() as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK])
        with open_services(make_settings(CHRONOLAKE_LAKE_LOCK_TIMEOUT_S=0.2)) as second:
            with pytest.raises(LakeBusy):
                second.sync.reach()
            # A lake that is behind is no reason to read no further: what is stored waits in the ledger.
            report = ingest(second, sample)
            assert (report.counts.stored, report.in_lake) == (450, False)
        conn.execute("SELECT pg_advisory_unlock(%s)", [LEADER_LOCK])
    assert ingest(services, sample).in_lake
    assert differences(services.database, services.lake, INGESTED) == []


def test_two_ingests_at_once_share_their_captures(services, make_settings, sample, tmp_path):
    other = tmp_path / "other.cdx"
    other.write_text(HEADER + "".join(line(f"host-{n % 7}", n) for n in range(200, 650)))

    def run(path):
        with open_services(make_settings(CHRONOLAKE_INGEST_BATCH_ROWS=50)) as own:
            return ingest(own, path).counts

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(run, (sample, other)))
    assert sum(count.stored for count in counts) == 650
    with services.database.connection() as conn:
        assert conn.execute("SELECT count(*) FROM cdx_records").fetchone() == (650,)
    assert differences(services.database, services.lake, INGESTED) == []


@pytest.mark.usefixtures("unfollowed")
def test_what_a_dead_import_staged_is_swept_and_what_the_ledger_names_is_kept(services, sample):
    ingest(services, sample)
    staging = staging_of(services)
    named = {path.name for path in staging.glob("*")}
    orphan = staging / "import-999-batch-99999.arrow"
    orphan.write_bytes(b"half")
    unrelated = staging / "notes.txt"
    unrelated.write_text("not ours")
    assert services.sync.sweep() == 1
    assert {path.name for path in staging.glob("*")} == named | {"notes.txt"}


def test_pages_enter_both_stores(services, sample):
    ingest(services, sample)
    with services.database.connection() as conn:
        found = conn.execute(
            "SELECT id, url, domain, timestamp FROM cdx_records ORDER BY id LIMIT 20"
        ).fetchall()
    names = [c.name for c in CONTENT_ANALYTICS.stored if c.name not in ("project_id", "batch_id")]
    values = {
        "page_id": [row[0].bytes for row in found],
        "url": [row[1] for row in found],
        "domain": [row[2] for row in found],
        "word_count": list(range(20)),
        "language": ["en", None] * 10,
        "quality_score": [number / 20 for number in range(20)],
        "extraction_method": ["test"] * 20,
        "extraction_timestamp": [row[3] for row in found],
        "date_captured": [row[3].date() for row in found],
    }
    schema = pa.schema([CONTENT_ANALYTICS.arrow_schema.field(name) for name in names])
    pages = pa.table(
        {name: pa.array(values.get(name, [None] * 20), schema.field(name).type) for name in names}, schema
    )
    first = services.pipeline.ingest_pages("news", [pages])
    again = services.pipeline.ingest_pages("news", [pages])
    assert (first.counts.stored, again.counts.stored) == (20, 0)
    assert differences(services.database, services.lake, INGESTED) == []


def test_a_batch_that_loses_a_deadlock_is_inserted_again(services, tmp_path):
    """Another transaction holds the last row of a batch and then wants the first, which the ingest holds."""
    path = tmp_path / "one-batch.cdx"
    path.write_text(HEADER + "".join(line(f"host-{n}", n) for n in range(90)))
    ingest(services, path)
    with ThreadPoolExecutor() as pool, services.database.connection() as other:
        rows = other.execute("DELETE FROM cdx_records RETURNING domain, timestamp, id").fetchall()
        other.commit()
        # Whoever looks for a deadlock first loses it, and it is to be the ingest.
        other.execute("SET LOCAL deadlock_timeout = '60s'")
        first, last = min(rows), max(rows)
        _insert(other, last)
        ingested = pool.submit(ingest, services, path)
        while not _waiting(other):
            assert not ingested.done()
        _insert(other, first)
        other.commit()
    assert (ingested.result().counts.stored, ingested.result().counts.duplicate) == (88, 2)


def _insert(conn, row):
    conn.execute(
        "INSERT INTO cdx_records (domain, timestamp, id, project_id, batch_id, archive_source, url, url_key,"
        " timestamp_repaired, record_type) VALUES (%s, %s, %s, 1, 0, '', '', '', false, '')",
        row,
    )


def _waiting(conn):
    # Within a transaction PostgreSQL shows the connections that there were at its first look.
    conn.execute("SELECT pg_stat_clear_snapshot()")
    return conn.execute(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ).fetchone()


def test_what_was_committed_before_a_failure_is_counted(services, sample, monkeypatch):
    staged = []

    def stage(table, rows, path):
        staged.append(path)
        if len(staged) == 3:
            raise StorageFull("no room left")
        return real(table, rows, path)

    real = dual_write.stage
    monkeypatch.setattr(dual_write, "stage", stage)
    with pytest.raises(StorageFull):
        ingest(services, sample)
    with services.database.connection() as conn:
        rows = conn.execute("SELECT count(*) FROM cdx_records").fetchone()[0]
        account = conn.execute("SELECT state, read, stored FROM imports").fetchone()
    assert rows == 200
    assert account == ("failed", 200, 200)
    monkeypatch.undo()
    assert ingest(services, sample).counts.stored == 250
    assert differences(services.database, services.lake, INGESTED) == []


def test_a_lake_made_anew_gets_everything_again(services, make_settings, sample, tmp_path):
    ingest(services, sample)
    with services.database.connection() as conn:
        conn.execute("DROP SCHEMA chronolake_lake CASCADE")
    with open_services(make_settings(CHRONOLAKE_LAKE_PATH=str(tmp_path / "anew"))) as opened:
        with opened.database.connection() as conn:
            assert ledger.backlog(conn).covered_lsn is None
        opened.sync.reach()
        assert opened.lake.info().document()["tables"][0]["rows"] == 450
        assert differences(opened.database, opened.lake) == []


@pytest.mark.usefixtures("unfollowed")
def test_a_leader_that_lost_its_lock_commits_nothing(services, sample, monkeypatch):
    services.sync.reach()
    ingest(services, sample)
    staged_rows = writer.staged_rows

    def cut(batches):
        with services.database.connection() as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
                [LEADER_LOCK],
            )
        return staged_rows(batches)

    monkeypatch.setattr(writer, "staged_rows", cut)
    with pytest.raises(DatabaseUnavailable):
        services.sync.reach()
    monkeypatch.undo()
    assert services.lake.holds_batches() is False
    services.sync.reach()
    assert differences(services.database, services.lake, INGESTED) == []


def test_many_ingests_of_one_process_leave_each_other_connections(services, tmp_path):
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.cdx")
        paths[-1].write_text(HEADER + "".join(line(f"many-{number}-{n}", n) for n in range(150)))
    with ThreadPoolExecutor(max_workers=3) as pool:
        reports = list(pool.map(lambda path: ingest(services, path), paths))
    assert [report.counts.stored for report in reports] == [150] * 6
    assert differences(services.database, services.lake, INGESTED) == []
