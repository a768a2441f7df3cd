"""Bulk rows, the ledger's message, the quarantine and the small tables."""

import base64
import json
import uuid
from datetime import datetime

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.capture.record import Reason, Rejection
from chronolake.oltp import domains, imports, ledger, projects, quarantine, rows
from chronolake.sync import scan

FULL = {
    "url": 'http://example.com/a,"b" \\N\n\t',
    "url_key": "com,example)/",
    "given_url_key": "",
    "host": "example.com",
    "domain": "example.com",
    "registered_domain": "example.com",
    "archive_source": "local",
    "timestamp": datetime(2020, 1, 2, 3, 4, 5, 678_901),
    "timestamp_repaired": False,
    "record_type": "response",
    "status_code": 200,
    "mime_type": "text/ütf",
    "content_length": 2**40,
    "warc_record_offset": 0,
    "raw_line": b"\x00\xff\\x\n",
    "project_id": 1,
    "batch_id": 7,
}
NEEDED = {field.name for field in CDX_RECORDS.arrow_schema if not field.nullable}
BARE = {name: value for name, value in FULL.items() if name in NEEDED}


def table_of(*given):
    columns = {
        field.name: pa.array([row.get(field.name) for row in given], field.type)
        for field in CDX_RECORDS.arrow_schema
    }
    return pa.table(columns, CDX_RECORDS.arrow_schema)


def row(number, **given):
    return {**FULL, "id": uuid.UUID(int=number).bytes, **given}


@pytest.fixture
def conn(database):
    with database.connection() as opened:
        yield opened


def test_every_type_comes_back_as_it_went_in(conn):
    given = table_of(row(1), {**BARE, "id": uuid.UUID(int=2).bytes, "domain": ""})
    assert rows.insert_new(conn, CDX_RECORDS, given).equals(given)
    assert scan.of_batch(conn, CDX_RECORDS, 7).fitting.sort_by("domain").equals(given.sort_by("domain"))
    assert scan.of_batch(conn, CDX_RECORDS, 8).fitting.num_rows == 0


def test_only_new_rows_come_back_each_id_once(conn):
    rows.insert_new(conn, CDX_RECORDS, table_of(row(1), row(2)))
    given = table_of(row(2), row(3, url="first"), row(4), row(3, url="second"), row(1), row(4))
    stored = rows.insert_new(conn, CDX_RECORDS, given)
    assert [value.int for value in stored["id"].to_pylist()] == [3, 4]
    assert stored["url"].to_pylist()[0] == "first"
    urls = conn.execute("SELECT url FROM cdx_records WHERE id = %s", [uuid.UUID(int=3)]).fetchall()
    assert urls == [("first",)]
    assert rows.insert_new(conn, CDX_RECORDS, given).num_rows == 0
    assert rows.insert_new(conn, CDX_RECORDS, given.slice(0, 0)).num_rows == 0


def test_a_slice_of_a_bigger_table_is_stored_as_itself(conn):
    given = table_of(*(row(number) for number in range(10)))
    stored = rows.insert_new(conn, CDX_RECORDS, given.slice(3, 4))
    assert [value.int for value in stored["id"].to_pylist()] == [3, 4, 5, 6]


def test_the_ledgers_message_stands_in_the_wal(conn, database):
    with database.connection() as slot:
        slot.execute("SELECT pg_create_logical_replication_slot('ledger_test', 'pgoutput')")
        slot.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    try:
        project = projects.ensure(conn, "news")
        import_id = imports.begin(
            conn, project_id=project, paths=["a"], archive_source=None, psl_version="1", dual_write=True
        )
        batch = ledger.LedgerBatch(5, import_id, "cdx_records", "a.parquet", 10, 99, "abc")
        lsn = ledger.record(conn, batch)
        assert [b.batch_id for b in ledger.pending(conn)] == [5]
        assert ledger.owed(conn, 5)
        assert ledger.backlog(conn).batches == 1
        conn.commit()
        changes = conn.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes('ledger_test', NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'everything', 'messages', 'true')"
        ).fetchall()
        messages = [bytes(data) for (data,) in changes if bytes(data).startswith(b"M")]
        assert len(messages) == 1
        assert b"chronolake.batch" in messages[0]
        words = json.loads(messages[0][messages[0].index(b"{") :])
        assert words == {
            "batch_id": 5,
            "import_id": import_id,
            "table": "cdx_records",
            "file": "a.parquet",
            "rows": 10,
            "checksum": "abc",
        }
        assert "/" in lsn
        ledger.mark_applied(conn, [5], 3)
        assert ledger.pending(conn) == []
        assert not ledger.owed(conn, 5)
        assert ledger.backlog(conn).batches == 0
        conn.commit()
    finally:
        conn.rollback()
        with database.connection() as slot:
            slot.execute("SELECT pg_drop_replication_slot('ledger_test')")


def test_a_message_of_a_transaction_that_rolls_back_is_never_seen(conn):
    project = projects.ensure(conn, "news")
    import_id = imports.begin(
        conn, project_id=project, paths=[], archive_source=None, psl_version="1", dual_write=True
    )
    ledger.record(conn, ledger.LedgerBatch(5, import_id, "cdx_records", "a.parquet", 1, 1, "c"))
    conn.rollback()
    assert ledger.pending(conn) == []


def test_the_quarantine_keeps_the_bytes(conn):
    project = projects.ensure(conn, "news")
    import_id = imports.begin(
        conn, project_id=project, paths=["a"], archive_source=None, psl_version="1", dual_write=True
    )
    raw = b"\xff\x00 caf\xe9 " + b"x" * 1000
    quarantine.add(conn, import_id, [Rejection("a\x00.cdx", 3, Reason.FIELDS, "\udc80", raw)])
    quarantine.add(conn, import_id, [])
    [listed] = quarantine.listed(conn, limit=10, project="news")
    assert (listed["position"], listed["reason"], listed["project"]) == (3, "fields", "news")
    assert listed["raw"].startswith("\\xff\x00 caf\\xe9")
    assert len(listed["raw"]) == 201
    [line] = quarantine.export(conn, import_id=import_id)
    assert base64.b64decode(json.loads(line)["raw"]) == raw
    assert quarantine.listed(conn, limit=10, project="other") == []
    assert list(quarantine.export(conn, project="other")) == []


def test_projects_are_found_by_name_before_id(conn):
    first = projects.ensure(conn, "news")
    named_like_an_id = projects.ensure(conn, str(first))
    assert projects.ensure(conn, "news") == first
    assert projects.find(conn, "news") == first
    assert projects.find(conn, first) == named_like_an_id
    assert projects.find(conn, "nobody") is None
    assert projects.names(conn) == {first: "news", named_like_an_id: str(first)}


def test_domains_are_noted_once(conn):
    given = table_of(row(1), row(2), row(3, domain="a.org", tld="org"))
    domains.add(conn, given)
    domains.add(conn, given)
    domains.add(conn, given.slice(0, 0))
    found = conn.execute("SELECT domain, registered_domain, tld FROM domains ORDER BY domain").fetchall()
    assert found == [("a.org", "example.com", "org"), ("example.com", "example.com", None)]


def test_a_living_import_is_held(conn, database):
    project = projects.ensure(conn, "news")
    import_id = imports.begin(
        conn, project_id=project, paths=[], archive_source=None, psl_version="1", dual_write=True
    )
    conn.commit()
    with database.connection() as other:
        with imports.hold(conn, import_id):
            assert imports.is_held(other, import_id)
            assert not imports.is_held(other, import_id + 1)
        assert not imports.is_held(other, import_id)


def test_a_project_is_ensured_by_many_at_once(database):
    with database.connection() as first, database.connection() as second:
        mine = projects.ensure(first, "same")
        first.commit()
        assert projects.ensure(second, "same") == mine
