"""What the decoder reads of the real server's stream, beside what PostgreSQL itself says about the same rows."""

import datetime as dt
from collections import defaultdict

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.lsn import parse_lsn
from chronolake.sync.messages import (
    Begin,
    Commit,
    LogicalMessage,
    Relation,
    RowChange,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    parse_message,
)
from chronolake.sync.tuples import Changes, decode_changes

TEXT = 25
INSERT, UPDATE, DELETE = b"IUD"

# Column: PostgreSQL's type, the Arrow type, what PostgreSQL says of it, and awkward values as SQL.
TYPES = {
    "u": (
        "uuid",
        pa.uuid(),
        "u",
        ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-8fff-bfff-ffffffffffff'"],
    ),
    "t": ("text", pa.string(), "t", ["''", "'é漢字🐘'", "E'\\t\\n\\\\\"'", "repeat('x', 5000)", "'NULL'"]),
    "v": ("varchar(9)", pa.string(), "v", ["''", "'ünïcödé'"]),
    "c": ("char(5)", pa.string(), "c", ["''", "'a'"]),
    "b": ("bytea", pa.binary(), "b", [r"'\x'", r"'\x00ff005c27'", "decode(repeat('00', 900), 'hex')"]),
    "yes": ("boolean", pa.bool_(), "yes", ["true", "false"]),
    "i2": ("smallint", pa.int32(), "i2", ["-32768", "32767", "0"]),
    "i4": ("integer", pa.int32(), "i4", ["-2147483648", "2147483647", "-1"]),
    "w4": ("integer", pa.int64(), "w4", ["-2147483648", "2147483647"]),
    "i8": ("bigint", pa.int64(), "i8", ["-9223372036854775808", "9223372036854775807", "-1"]),
    "f4": (
        "real",
        pa.float32(),
        "f4",
        ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1e-45", "3.4028235e38", "0.1"],
    ),
    "f8": (
        "float8",
        pa.float64(),
        "f8",
        ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "5e-324", "1.7976931348623157e308"],
    ),
    "ts": (
        "timestamp",
        pa.timestamp("us"),
        "(extract(epoch FROM ts) * 1000000)::bigint",
        [
            "'4713-01-01 00:00:00 BC'",
            "'0001-12-31 23:59:59.999999 BC'",
            "'1969-12-31 23:59:59.999999'",
            "'12345-06-07 08:09:10.000001'",
            "'294246-12-31 23:59:59.999999'",
            "'2000-01-01'",
        ],
    ),
    "tz": (
        "timestamptz",
        pa.timestamp("us", tz="UTC"),
        "(extract(epoch FROM tz) * 1000000)::bigint",
        ["'1900-01-01 00:00:00+05:53:28'", "'0044-03-15 12:00:00+00 BC'", "'2024-02-29 23:59:59.5-11:30'"],
    ),
    "d": (
        "date",
        pa.date32(),
        "d - date '1970-01-01'",
        ["'4713-01-01 BC'", "'5874897-12-31'", "'1970-01-01'", "'0001-02-29 BC'"],
    ),
    "n": (
        "numeric",
        pa.string(),
        "n::text",
        [
            "0",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "-0.00001200",
            "1e40",
            "123456789.0123456789000",
            "10000",
            "0.0000000000000001",
            "'-1e-30'",
        ],
    ),
    "n2": ("numeric(10,2)", pa.float64(), "n2::float8", ["12345678.90", "-0.01"]),
    "j": ("json", pa.string(), "j::text", ["'{\"a\":  [1, null]}'", "'\"\"'"]),
    "jb": ("jsonb", pa.string(), "jb::text", ['\'{"b": "\\u00e9", "a": [1.50, {}]}\'', "'null'", "'{}'"]),
    "a": (
        "text[]",
        pa.string(),
        "a::text",
        [
            "'{}'",
            "ARRAY['', 'null', 'a b', 'q\"\\', 'é', 'x,y', E'\\t', '{', NULL, U&'\\00A0']",
            "ARRAY[['a','b'],['c','d']]",
            "'[0:1]={x,y}'",
        ],
    ),
    "ai": ("integer[]", pa.string(), "ai::text", ["'{1,-2,NULL}'"]),
    "af": (
        "float8[]",
        pa.string(),
        "af::text",
        ["'{1,0.1,1e15,1e14,123456789012345680,1e-5,0.0001,NaN,-Infinity,-0,1.5e300}'"],
    ),
    "ar": ("real[]", pa.string(), "ar::text", ["'{1,0.1,1e6,999999,1e-5,1.5e30,100000,1234567}'"]),
    "at": (
        "timestamptz[]",
        pa.string(),
        "at::text",
        ['\'{"2024-02-29 01:02:03.456+00","0044-03-15 BC",infinity,-infinity}\''],
    ),
    "ad": ("date[]", pa.string(), "ad::text", ["'{2024-02-29,0001-02-29 BC,infinity,12345-01-01}'"]),
    "ay": ("bytea[]", pa.string(), "ay::text", [r"ARRAY['\x00ff'::bytea, '']"]),
    "au": ("uuid[]", pa.string(), "au::text", ["'{ffffffff-ffff-8fff-bfff-ffffffffffff}'"]),
    "an": ("numeric[]", pa.string(), "an::text", ["'{1.50,NaN,-3}'"]),
    "ab": ("boolean[]", pa.string(), "ab::text", ["'{t,f}'"]),
    "ip": (
        "inet",
        pa.string(),
        "CASE WHEN ip IS NOT NULL THEN format('%s', ip) END",
        [
            "'10.0.0.1'",
            "'10.0.0.0/8'",
            "'::1'",
            "'2001:db8::ff00:42:8329/64'",
            "'::ffff:1.2.3.4'",
            "'::1.2.3.4'",
            "'::2'",
            "'::'",
            "'1:0:0:2:0:0:0:3/127'",
        ],
    ),
    "net": ("cidr", pa.string(), "net::text", ["'10.0.0.0/8'", "'1.2.3.4/32'", "'2001:db8::/32'"]),
    "mac": ("macaddr", pa.string(), "mac::text", ["'08:00:2b:01:02:03'"]),
    "hour": ("time", pa.string(), "hour::text", ["'24:00:00'", "'01:02:03.45'"]),
    "lsn": ("pg_lsn", pa.string(), "lsn::text", ["'16/B374D848'"]),
    "mood": ("mood", pa.string(), "mood::text", ["'so so'", "'froh 😀'"]),
    "dom": ("shortint", pa.int64(), "dom::bigint", ["7"]),
    "du": ("uuid", pa.string(), "du::text", ["'ffffffff-ffff-8fff-bfff-ffffffffffff'"]),
    "di": ("bigint", pa.string(), "di::text", ["-12"]),
    "df": ("text DEFAULT 'by default'", pa.string(), "df", ["DEFAULT", "''"]),
}
WANTED = {name: arrow for name, (_, arrow, _, _) in TYPES.items()}


def _make_odd(conn) -> dict[int, int]:
    """A table of all types; the answer says which of them are built-in ones by another name."""
    conn.execute("CREATE TYPE mood AS ENUM ('so so', 'froh 😀'); CREATE DOMAIN shortint AS integer")
    columns = ", ".join(f"{name} {postgres}" for name, (postgres, *_) in TYPES.items())
    conn.execute(
        f"CREATE TABLE odd (id integer PRIMARY KEY, {columns}, twice integer GENERATED ALWAYS AS (id * 2) STORED)"
    )
    oids = dict(
        conn.execute("SELECT typname, oid::int FROM pg_type WHERE typname IN ('mood', 'shortint')").fetchall()
    )
    return {oids["mood"]: TEXT, oids["shortint"]: 23}


def _plain(values: pa.ChunkedArray) -> list[object]:
    kind = values.type
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.int64())
    if pa.types.is_date32(kind):
        values = values.cast(pa.int32())
    return values.to_pylist()


def _rows(messages: list[bytes], *, streamed: bool = False) -> tuple[Relation, list[bytes]]:
    """The last relation and all row messages."""
    parsed = [(message, parse_message(message, streamed=streamed)) for message in messages]
    relations = [value for _, value in parsed if isinstance(value, Relation)]
    return relations[-1], [message for message, value in parsed if isinstance(value, RowChange)]


def _decode(messages: list[bytes], wanted: dict[str, pa.DataType], **options) -> Changes:
    relation, rows = _rows(messages)
    return decode_changes(relation, rows, wanted, **options)


@pytest.mark.parametrize("binary", ["true", "false"])
def test_every_type_is_read_as_postgres_reads_it(conn, changes, binary):
    types = _make_odd(conn)
    most = max(len(values) for *_, values in TYPES.values())
    for number in range(most):
        given = {name: values[number] for name, (*_, values) in TYPES.items() if number < len(values)}
        names = "".join(f", {name}" for name in given)
        conn.execute(f"INSERT INTO odd (id{names}) VALUES ({', '.join([str(number), *given.values()])})")
    conn.execute("INSERT INTO odd (id, df) VALUES (1000, NULL)")

    messages = changes(binary=binary)
    relation, rows = _rows(messages)
    assert "twice" not in {column.name for column in relation.columns}
    read = decode_changes(relation, rows, WANTED, types=types)
    assert (read.unrepresentable, read.unchanged, read.has_old.any()) == ({}, {}, False)
    read.new.validate(full=True)
    for name, (_, _, expression, _) in TYPES.items():
        told = [row[0] for row in conn.execute(f"SELECT {expression} FROM odd ORDER BY id", binary=True)]
        assert repr(_plain(read.new[name])) == repr(told), name


@pytest.mark.parametrize("binary", ["true", "false"])
def test_a_value_the_lake_cannot_hold_is_null_and_reported(conn, changes, binary):
    conn.execute(
        "CREATE TABLE far (id integer PRIMARY KEY, ts timestamp, tz timestamptz, d date, n bigint, f numeric)"
    )
    conn.execute(
        "INSERT INTO far VALUES (0, '2024-01-01', '2024-01-01', '2024-01-01', 1, 1),"
        " (1, 'infinity', '-infinity', 'infinity', 2147483648, '-1e400'),"
        " (2, '294276-12-31 23:59:59.999999', '2024-01-02', '-infinity', -2147483649, 'Infinity'),"
        " (3, NULL, NULL, NULL, NULL, NULL)"
    )
    wanted = {
        "id": pa.int32(),
        "ts": pa.timestamp("us"),
        "tz": pa.timestamp("us", tz="UTC"),
        "d": pa.date32(),
        "n": pa.int32(),
        "f": pa.float64(),
    }
    read = _decode(changes(binary=binary), wanted)
    bad = {name: rows.tolist() for name, rows in read.unrepresentable.items()}
    assert bad == {"ts": [1, 2], "tz": [1], "d": [1, 2], "n": [1, 2], "f": [1]}
    assert read.new["ts"].is_null().to_pylist() == [False, True, True, True]
    assert read.new["n"].to_pylist() == [1, None, None, None]
    assert read.new["d"].to_pylist() == [dt.date(2024, 1, 1), None, None, None]
    assert read.new["f"].to_pylist() == [1, None, float("inf"), None]
    assert read.new["id"].to_pylist() == [0, 1, 2, 3]


@pytest.mark.parametrize("binary", ["true", "false"])
def test_our_own_table_is_read_whole(conn, changes, binary):
    conn.execute(
        "INSERT INTO chronolake.cdx_records (id, project_id, batch_id, archive_source, url, url_key, domain, timestamp,"
        " timestamp_repaired, record_type, raw_line, content_length)"
        " SELECT gen_random_uuid(), i, i * 10000000000, 'wayback', 'http://é.example/' || i, 'example,é)/', 'example',"
        " timestamp '1996-01-01' + i * interval '1 day 0.000001 s', i % 2 = 0, 'response', nullif(decode(to_hex(i + 4096), 'hex'), ''), i"
        " FROM generate_series(1, 3000) AS i"
    )
    schema = CDX_RECORDS.arrow_schema
    read = _decode(changes(binary=binary), dict(zip(schema.names, schema.types, strict=True)))
    names = ", ".join(f'"{name}"' for name in schema.names)
    told = conn.execute(
        f"SELECT {names} FROM chronolake.cdx_records ORDER BY project_id", binary=True
    ).fetchall()
    assert [tuple(row.values()) for row in read.new.to_pylist()] == told


def test_a_large_value_left_as_it_was_is_not_null(conn, changes):
    conn.execute("CREATE TABLE page (id integer PRIMARY KEY, n integer, body text, small text)")
    conn.execute("ALTER TABLE page ALTER body SET STORAGE EXTERNAL")
    conn.execute("INSERT INTO page VALUES (1, 1, repeat('b', 10000), 's'), (2, 1, NULL, 's')")
    conn.execute("UPDATE page SET n = 2; UPDATE page SET body = 'new' WHERE id = 1")
    read = _decode(changes(), {"body": pa.string(), "n": pa.int32()})
    assert read.kinds.tolist() == [INSERT] * 2 + [UPDATE] * 3
    assert {name: rows.tolist() for name, rows in read.unchanged.items()} == {
        "body": [False, False, True, False, False]
    }
    assert read.new["body"].to_pylist() == ["b" * 10000, None, None, None, "new"]
    assert read.new["n"].to_pylist() == [1, 1, 2, 2, 2]
    assert not read.has_old.any()


IDENTITIES = {
    "DEFAULT": ({"id"}, [False, True, False, True]),
    "USING INDEX thing_key": ({"id", "domain"}, [False, True, True, True]),
    "FULL": ({"id", "domain", "body"}, [True, True, True, True]),
}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_old_row_is_known_as_far_as_the_replica_identity_tells(conn, changes, identity):
    conn.execute(
        "CREATE TABLE thing (id integer PRIMARY KEY, domain text NOT NULL, body text, UNIQUE (domain, id))"
    )
    conn.execute("CREATE UNIQUE INDEX thing_key ON thing (domain, id)")
    conn.execute("ALTER TABLE thing ALTER body SET STORAGE EXTERNAL")
    conn.execute(f"ALTER TABLE thing REPLICA IDENTITY {identity}")
    big = "b" * 9000
    conn.execute("INSERT INTO thing VALUES (1, 'a', %s)", [big])
    changes()
    conn.execute("UPDATE thing SET body = body || 'c'")
    conn.execute("UPDATE thing SET id = 2")
    conn.execute("UPDATE thing SET domain = 'z'")
    conn.execute("DELETE FROM thing")
    read = _decode(changes(), {"id": pa.int32(), "domain": pa.string(), "body": pa.string()})

    known, has_old = IDENTITIES[identity]
    assert read.kinds.tolist() == [UPDATE] * 3 + [DELETE]
    assert read.has_old.tolist() == has_old
    assert read.old_whole.tolist() == [identity == "FULL"] * 4
    before = [
        {"id": 1, "domain": "a", "body": big},
        {"id": 1, "domain": "a", "body": big + "c"},
        {"id": 2, "domain": "a", "body": big + "c"},
        {"id": 2, "domain": "z", "body": big + "c"},
    ]
    for row, values in enumerate(before):
        expected = {name: value if has_old[row] and name in known else None for name, value in values.items()}
        assert read.old.slice(row, 1).to_pylist() == [expected]
    assert read.new["id"].to_pylist() == [1, 2, 2, None]
    assert read.new["domain"].to_pylist() == ["a", "a", "z", None]
    assert read.unchanged["body"].tolist() == [False, True, True, False]


def test_a_transaction_with_its_messages_truncates_and_what_it_took_back(conn, changes):
    conn.execute(
        "CREATE TABLE one (id integer PRIMARY KEY); CREATE TABLE two (id integer PRIMARY KEY REFERENCES one)"
    )
    with conn.transaction():
        conn.execute("INSERT INTO one VALUES (1)")
        with conn.transaction(), conn.transaction():
            conn.execute("INSERT INTO one VALUES (2)")
            conn.execute("SELECT pg_logical_emit_message(true, 'taken back', '')")
            raise psycopg.Rollback
        written = conn.execute(
            "SELECT pg_logical_emit_message(true, 'batch é', '\\x00ff'::bytea)"
        ).fetchone()[0]
        conn.execute("TRUNCATE one RESTART IDENTITY CASCADE")
        xid = int(conn.execute("SELECT pg_current_xact_id()").fetchone()[0])
    conn.execute("SELECT pg_logical_emit_message(false, 'alone', 'x', true)")
    parsed = [parse_message(message) for message in changes(messages="true")]
    # A table that was truncated is described anew.
    begin, one, row, message, again, two, truncate, commit, alone = parsed
    assert again == one

    assert isinstance(begin, Begin)
    assert isinstance(commit, Commit)
    assert (begin.xid, begin.final_lsn, begin.commit_time) == (
        xid & 0xFFFFFFFF,
        commit.commit_lsn,
        commit.commit_time,
    )
    assert abs(dt.datetime.now(dt.UTC) - begin.commit_time) < dt.timedelta(hours=1)
    assert commit.end_lsn <= parse_lsn(conn.execute("SELECT pg_current_wal_lsn()").fetchone()[0])
    assert (one.schema, one.name, one.replica_identity) == ("public", "one", "d")
    assert [(c.name, c.type_oid, c.type_modifier, c.is_key) for c in one.columns] == [("id", 23, -1, True)]
    assert (row.kind, row.relation_oid) == (INSERT, one.oid)
    assert (message.transactional, message.prefix, message.content) == (True, "batch é", b"\x00\xff")
    assert message.lsn <= parse_lsn(str(written))
    assert truncate == Truncate((one.oid, two.oid), cascade=True, restart_identity=True)
    assert isinstance(alone, LogicalMessage)
    assert (alone.transactional, alone.prefix, alone.content) == (False, "alone", b"x")


def test_a_streamed_transaction_in_progress_with_a_part_that_was_aborted(conn, changes):
    conn.execute("CREATE TYPE mood AS ENUM ('fine')")
    conn.execute("CREATE TABLE big (id integer PRIMARY KEY, body text, mood mood)")
    conn.execute("SET logical_decoding_work_mem = '64kB'")
    fill = "INSERT INTO big SELECT i, repeat('x', 200), 'fine' FROM generate_series(%s::int, %s::int) AS i"
    with conn.transaction():
        conn.execute(fill, [1, 2000])
        with conn.transaction():
            conn.execute(fill, [2001, 4000])
            raise psycopg.Rollback
        conn.execute("SELECT pg_logical_emit_message(true, 'p', 'c')")
        conn.execute("UPDATE big SET id = 0 WHERE id = 1; DELETE FROM big WHERE id = 2; TRUNCATE big")
        conn.execute(fill, [4001, 6000])
    streamed, blocks = False, []
    rows, parsed = defaultdict(list), []
    for data in changes(streaming="on", messages="true"):
        message = parse_message(data, streamed=streamed)
        parsed.append(message)
        if isinstance(message, StreamStart | StreamStop):
            streamed = isinstance(message, StreamStart)
            blocks.append(message)
        if isinstance(message, RowChange):
            rows[message.xid].append(data)

    commits = [message for message in parsed if isinstance(message, StreamCommit)]
    aborts = [message for message in parsed if isinstance(message, StreamAbort)]
    (commit,) = commits
    assert len(blocks) > 4
    assert [message.first_segment for message in blocks if isinstance(message, StreamStart)][:2] == [
        True,
        False,
    ]
    assert {(abort.xid, abort.abort_lsn) for abort in aborts} == {(commit.xid, None)}
    for abort in aborts:
        rows.pop(abort.subxid, None)
    relation = next(message for message in parsed if isinstance(message, Relation))
    kind = next(message for message in parsed if isinstance(message, Type))
    assert (relation.xid, kind.xid, kind.name) == (commit.xid, commit.xid, "mood")
    assert any(isinstance(message, Truncate) and message.xid for message in parsed)
    assert any(isinstance(message, LogicalMessage) and message.xid for message in parsed)

    wanted = {"id": pa.int32(), "mood": pa.string()}
    kept = [data for messages in rows.values() for data in messages]
    read = decode_changes(relation, kept, wanted, streamed=True, types={kind.oid: TEXT})
    ids = [*range(1, 2001), 0, None, *range(4001, 6001)]
    assert read.new["id"].to_pylist() == ids
    assert read.old["id"].drop_null().to_pylist() == [1, 2]
    assert np.flatnonzero(read.has_old).tolist() == [2000, 2001]
    assert set(read.new["mood"].to_pylist()) == {"fine", None}


def test_parallel_streaming_tells_where_it_was_aborted(conn, changes):
    conn.execute("CREATE TABLE big (id integer PRIMARY KEY, body text)")
    conn.execute("SET logical_decoding_work_mem = '64kB'")
    with conn.transaction():
        conn.execute("INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 2000) AS i")
        with conn.transaction():
            conn.execute("INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(2001, 4000) AS i")
            raise psycopg.Rollback
        conn.execute("INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(4001, 6000) AS i")
    aborts = [parse_message(data) for data in changes(streaming="parallel") if data[:1] == b"A"]
    assert aborts
    for abort in aborts:
        assert abort.abort_lsn > 0
        assert abs(dt.datetime.now(dt.UTC) - abort.abort_time) < dt.timedelta(hours=1)
