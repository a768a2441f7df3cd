"""Schema changes in PostgreSQL arrive in the lake without a restart; what cannot be followed parks its table."""

from collections import Counter

import pytest

from chronolake.errors import SyncError
from chronolake.lake import Lake
from chronolake.oltp import sync_tables
from chronolake.sync import DataSyncService


@pytest.fixture
def lake(database, make_settings):
    with Lake.open(make_settings(), database.url) as opened:
        yield opened


@pytest.fixture
def sync(database, lake, make_settings):
    return DataSyncService(database=database, lake=lake, settings=make_settings())


@pytest.fixture
def run(database):
    """Run statements in one transaction."""

    def _run(*statements):
        with database.connection() as conn:
            for statement in statements:
                conn.execute(statement)

    return _run


@pytest.fixture
def rows(database, lake):
    """The rows of a table in both stores, as multisets of the same columns."""

    def _rows(name, columns="*", order=1, printed=None):
        with lake.cursor() as cursor:
            in_lake = cursor.execute(f"SELECT {columns} FROM {name} ORDER BY {order}").fetchall()
        with database.connection() as conn:
            truth = conn.execute(f"SELECT {printed or columns} FROM {name} ORDER BY {order}").fetchall()
        return truth, in_lake

    return _rows


@pytest.fixture
def notes(run, sync):
    """A table beyond the registry, with two rows that were there before it was published."""
    run(
        "CREATE TABLE notes (id bigint PRIMARY KEY, a integer, b text)",
        "INSERT INTO notes VALUES (1, 10, 'one'), (2, 20, 'two')",
        "ALTER PUBLICATION chronolake ADD TABLE notes",
    )
    sync.reach()
    return "notes"


def equal(rows, name, columns="*", printed=None):
    truth, in_lake = rows(name, columns, printed=printed)
    assert Counter(in_lake) == Counter(truth)
    return in_lake


def state(database, name):
    with database.connection() as conn:
        return next(table for table in sync_tables.all_of(conn) if table.table_name == name)


def test_a_table_added_to_the_publication_is_copied_and_followed(run, sync, rows, notes):
    assert len(equal(rows, notes)) == 2
    run("INSERT INTO notes VALUES (3, 30, 'three')", "UPDATE notes SET b = 'uno' WHERE id = 1")
    run("DELETE FROM notes WHERE id = 2")
    sync.reach()
    assert equal(rows, notes) == [(1, 10, "uno"), (3, 30, "three")]


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("smallint", "5", "7"),
        ("bigint", "-5", "7"),
        ("double precision", "'Infinity'", "1.5"),
        ("real", "0.5", "1.5"),
        ("boolean", "true", "false"),
        ("text", "'it''s'", "'x'"),
        ("varchar(9)", "''", "'x'"),
        ("uuid", "'6f2cbd8e-2f1a-4d9d-8c12-0123456789ab'", "NULL"),
        ("bytea", r"'\x0102'", r"'\xff'"),
        ("date", "'2020-02-29'", "'1999-01-01'"),
        ("timestamp", "'2020-02-29 01:02:03.5'", "'1999-01-01'"),
        ("timestamptz", "'2020-02-29 01:02:03.5+02'", "'1999-01-01 00:00+00'"),
    ],
)
def test_an_added_columns_default_shows_in_old_rows(run, sync, rows, notes, kind, default, value):
    run(
        "INSERT INTO notes VALUES (3, 30, 'same transaction')",
        f"ALTER TABLE notes ADD COLUMN c {kind} DEFAULT {default}",
        f"INSERT INTO notes VALUES (4, 40, 'after', {value}), (5, 50, 'default', DEFAULT), (6, 60, 'null', NULL)",
    )
    run("UPDATE notes SET a = 11 WHERE id = 1")
    sync.reach()
    equal(rows, notes)
    run("ALTER TABLE notes ALTER COLUMN c DROP DEFAULT", "INSERT INTO notes (id) VALUES (7)")
    sync.reach()
    assert len(equal(rows, notes)) == 7


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("numeric", "1.50", "12345678901234567890.123456789012345678901234567890"),
        ("jsonb", """'{"k": 1}'""", "'[1, 2]'"),
        ("text[]", "'{a,b}'", "'{c}'"),
        ("inet", "'10.0.0.1'", "'::1'"),
        ("mood", "'bad'", "'good'"),
        ("positive", "5", "7"),
    ],
)
def test_types_that_the_lake_has_not_are_texts(run, sync, rows, notes, kind, default, value):
    run("CREATE TYPE mood AS ENUM ('good', 'bad')", "CREATE DOMAIN positive AS integer")
    run(
        f"ALTER TABLE notes ADD COLUMN c {kind} DEFAULT {default}",
        f"INSERT INTO notes VALUES (3, 30, 'x', {value})",
    )
    sync.reach()
    equal(rows, notes, "id, CAST(c AS text)", printed="id, format('%s', c)")
    run("ALTER PUBLICATION chronolake DROP TABLE notes")
    sync.reach()
    run("ALTER PUBLICATION chronolake ADD TABLE notes")
    sync.resume(notes)
    sync.reach()
    equal(rows, notes, "id, CAST(c AS text)", printed="id, format('%s', c)")


def test_drop_rename_and_another_of_the_old_name(run, sync, rows, notes):
    run("INSERT INTO notes VALUES (3, 30, 'x')", "ALTER TABLE notes RENAME COLUMN a TO amount")
    run(
        "INSERT INTO notes VALUES (4, 40, 'y')",
        "ALTER TABLE notes DROP COLUMN b",
        "INSERT INTO notes VALUES (5, 50)",
    )
    run("ALTER TABLE notes ADD COLUMN a text", "INSERT INTO notes VALUES (6, 60, 'new a')")
    sync.reach()
    assert equal(rows, notes, "id, amount, a")[0] == (1, 10, None)


def test_many_changes_in_one_transaction(run, sync, rows, notes):
    run(
        "INSERT INTO notes VALUES (3, 30, 'x')",
        "ALTER TABLE notes RENAME COLUMN a TO c",
        "UPDATE notes SET c = c + 1",
        "ALTER TABLE notes ADD COLUMN d integer DEFAULT 4",
        "INSERT INTO notes VALUES (4, 40, 'y', 44)",
        "ALTER TABLE notes DROP COLUMN b",
        "INSERT INTO notes VALUES (5, 50, 55)",
        "DELETE FROM notes WHERE id = 2",
    )
    sync.reach()
    equal(rows, notes, "id, c, d")
    run("ALTER TABLE notes ALTER COLUMN c TYPE bigint", "INSERT INTO notes VALUES (6, 2147483648, NULL)")
    sync.reach()
    assert len(equal(rows, notes, "id, c, d")) == 5


def test_columns_swap_their_names(run, sync, rows, notes):
    run(
        "ALTER TABLE notes RENAME COLUMN a TO t",
        "ALTER TABLE notes RENAME COLUMN b TO a",
        "ALTER TABLE notes RENAME COLUMN t TO b",
        "INSERT INTO notes VALUES (3, 30, 'x')",
    )
    sync.reach()
    equal(rows, notes, "id, a, b")


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ("smallint", "integer", "70000"),
        ("integer", "bigint", "70000000000"),
        ("smallint", "bigint", "70000000000"),
        ("real", "double precision", "1.1"),
        ("varchar(3)", "text", "'longer'"),
        ("varchar(3)", "varchar(9)", "'longer'"),
        ("numeric(4, 1)", "numeric(9, 1)", "12345.6"),
    ],
)
def test_widened_types(run, sync, rows, notes, before, after, value):
    run(f"ALTER TABLE notes ADD COLUMN c {before}", "UPDATE notes SET c = '1'")
    sync.reach()
    run(
        "INSERT INTO notes VALUES (3, 30, 'x', '2')",
        f"ALTER TABLE notes ALTER COLUMN c TYPE {after}",
        f"INSERT INTO notes VALUES (4, 40, 'y', {value})",
    )
    sync.reach()
    equal(rows, notes, "id, CAST(c AS text)" if "numeric" in before else "id, c")


def test_what_narrows_is_parked_and_others_go_on(run, sync, rows, notes, database):
    run("ALTER TABLE notes ALTER COLUMN a TYPE text", "INSERT INTO notes VALUES (3, 'x', 'y')")
    run("INSERT INTO domains (domain) VALUES ('a.example')")
    sync.reach()
    parked = state(database, notes)
    assert parked.state == "parked"
    assert "column a" in parked.last_error
    assert "chronolake sync resume notes" in parked.hint
    assert len(rows(notes, "id")[1]) == 2
    equal(rows, "domains", "domain")
    run("INSERT INTO notes VALUES (4, 'x', 'y')")
    sync.resume(notes)
    sync.reach()
    assert state(database, notes).state == "streaming"
    assert len(equal(rows, notes, "id, a, b")) == 4
    run("UPDATE notes SET a = 'z' WHERE id = 1")
    sync.reach()
    equal(rows, notes, "id, a, b")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE notes ADD COLUMN c uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE notes ADD COLUMN c bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE notes DROP COLUMN b, ADD COLUMN b text",
        "ALTER TABLE notes ADD COLUMN c interval",
        'ALTER TABLE notes ADD COLUMN "A" text',
        "ALTER TABLE notes RENAME COLUMN id TO number",
    ],
)
def test_what_the_stream_does_not_tell_is_parked(run, sync, rows, notes, database, change):
    run(change, "INSERT INTO notes VALUES (3, 30, 'x')")
    sync.reach()
    assert state(database, notes).state == "parked"


def test_an_unknown_default_is_right_once_it_is_copied(run, sync, rows, notes):
    run(
        "ALTER TABLE notes ADD COLUMN c uuid DEFAULT gen_random_uuid()",
        "INSERT INTO notes VALUES (3, 30, 'x')",
    )
    sync.reach()
    sync.resume(notes)
    sync.reach()
    assert len(equal(rows, notes, "id, a, b, c")) == 3


def test_a_registry_column_that_goes_parks_its_table(run, sync, rows, database):
    run("INSERT INTO projects (name) VALUES ('p')")
    sync.reach()
    run("ALTER TABLE search_history RENAME COLUMN engine TO motor")
    run("INSERT INTO search_history (question) VALUES ('q')", "INSERT INTO projects (name) VALUES ('q')")
    sync.reach()
    assert state(database, "search_history").state == "parked"
    assert "engine" in state(database, "search_history").last_error
    equal(rows, "projects", "id, name")
    sync.resume("search_history")
    sync.reach()
    assert state(database, "search_history").state == "parked"
    run("ALTER TABLE search_history RENAME COLUMN motor TO engine")
    sync.resume("search_history")
    sync.reach()
    assert state(database, "search_history").state == "streaming"
    equal(rows, "search_history", "id, question, engine")


def test_a_registry_table_gets_columns_and_wider_ones(run, sync, rows):
    run("INSERT INTO search_history (question) VALUES ('before')")
    sync.reach()
    run(
        "ALTER TABLE search_history ADD COLUMN colour text DEFAULT 'red'",
        "INSERT INTO search_history (question, colour) VALUES ('after', 'blue')",
    )
    run("ALTER TABLE archive_request_attempts ALTER COLUMN status_code TYPE bigint")
    run(
        "INSERT INTO archive_request_attempts (archive_source, outcome, status_code) VALUES ('x', 'ok', 5000000000)"
    )
    sync.reach()
    equal(rows, "search_history", "id, question, colour")
    equal(rows, "archive_request_attempts", "id, status_code")


def test_a_table_that_leaves_stays_in_the_lake(run, sync, rows, notes, database):
    run("INSERT INTO notes VALUES (3, 30, 'x')")
    run("ALTER PUBLICATION chronolake DROP TABLE notes")
    sync.reach()
    sync.reach()
    assert state(database, notes).state == "parked"
    assert "left the publication" in state(database, notes).last_error
    assert len(rows(notes, "id")[1]) == 3
    run("INSERT INTO notes VALUES (4, 40, 'y')", "ALTER PUBLICATION chronolake ADD TABLE notes")
    sync.resume(notes)
    sync.reach()
    assert len(equal(rows, notes)) == 4


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (id, a)"])
def test_a_table_without_a_key_of_one_column_is_parked(run, sync, database, lake, key):
    run(f"CREATE TABLE keyless (id bigint, a bigint{key})", "ALTER PUBLICATION chronolake ADD TABLE keyless")
    sync.reach()
    assert "primary key" in state(database, "keyless").last_error
    assert lake.columns("keyless") == {}
    run(
        "ALTER TABLE keyless DROP CONSTRAINT IF EXISTS keyless_pkey",
        "ALTER TABLE keyless ADD PRIMARY KEY (id)",
    )
    run("INSERT INTO keyless VALUES (1, 2)")
    sync.resume("keyless")
    sync.reach()
    assert state(database, "keyless").state == "streaming"


@pytest.mark.parametrize("kind", ["uuid", "text", "smallint"])
def test_keys_of_other_types(run, sync, rows, kind):
    value = "gen_random_uuid()" if kind == "uuid" else "n"
    run(
        f"CREATE TABLE keyed (id {kind} PRIMARY KEY, n integer)",
        "ALTER PUBLICATION chronolake ADD TABLE keyed",
    )
    run(f"INSERT INTO keyed SELECT {value}, n FROM generate_series(1, 100) n")
    sync.reach()
    run("UPDATE keyed SET n = -n WHERE n % 3 = 0", "DELETE FROM keyed WHERE n = 1")
    sync.reach()
    assert len(equal(rows, "keyed")) == 99


def test_a_crash_between_the_lakes_columns_and_the_rows(
    run, sync, rows, notes, lake, database, make_settings, monkeypatch
):
    run("INSERT INTO notes VALUES (3, 30, 'x')")
    run(
        "UPDATE notes SET a = 0 WHERE id = 1",
        "ALTER TABLE notes RENAME COLUMN a TO c",
        "ALTER TABLE notes ADD COLUMN d integer DEFAULT 4",
        "ALTER TABLE notes DROP COLUMN b",
        "INSERT INTO notes VALUES (4, 40, 44)",
    )
    evolve = lake.evolve

    def dies_after(statements):
        evolve(statements)
        raise OSError("died")

    monkeypatch.setattr(lake, "evolve", dies_after)
    with pytest.raises(SyncError, match="died"):
        sync.reach()
    monkeypatch.undo()
    again = DataSyncService(database=database, lake=lake, settings=make_settings())
    again.reach()
    assert len(equal(rows, notes, "id, c, d")) == 4


def test_a_large_value_left_as_it_is_follows_its_column(run, sync, rows, notes):
    run("ALTER TABLE notes ALTER COLUMN b SET STORAGE EXTERNAL", "UPDATE notes SET b = repeat('x', 9000)")
    sync.reach()
    run("ALTER TABLE notes RENAME COLUMN b TO big", "UPDATE notes SET a = a + 1")
    sync.reach()
    equal(rows, notes, "id, a, big")


def test_a_streamed_transaction_changes_the_shape(run, sync, rows, notes, server):
    run(
        "SET LOCAL logical_decoding_work_mem = '64kB'",
        "INSERT INTO notes SELECT n, n, repeat('x', 100) FROM generate_series(10, 5000) n",
        "ALTER TABLE notes ADD COLUMN c integer DEFAULT 7",
        "INSERT INTO notes SELECT n, n, 'y', n FROM generate_series(5001, 9000) n",
    )
    run("INSERT INTO notes VALUES (3, 3, 'z', 3)")
    sync.reach()
    equal(rows, notes)


def test_older_snapshots_show_the_older_shape(run, sync, lake, notes):
    before = lake.snapshot()
    run("ALTER TABLE notes RENAME COLUMN a TO c", "INSERT INTO notes VALUES (3, 30, 'x')")
    sync.reach()
    with lake.cursor() as cursor:
        assert cursor.execute(f"SELECT a FROM notes AT (VERSION => {before}) ORDER BY id").fetchall() == [
            (10,),
            (20,),
        ]
        assert cursor.execute("SELECT c FROM notes ORDER BY id").fetchall() == [(10,), (20,), (30,)]


def test_a_row_that_cannot_be_copied_parks_its_table_alone(run, sync, rows, database):
    run("CREATE TABLE odd (id bigint PRIMARY KEY, at timestamp)", "INSERT INTO odd VALUES (1, 'infinity')")
    run("ALTER PUBLICATION chronolake ADD TABLE odd", "INSERT INTO domains (domain) VALUES ('a.example')")
    sync.reach()
    assert state(database, "odd").state == "parked"
    equal(rows, "domains", "domain")
