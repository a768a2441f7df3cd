"""The server, its schema and its refusals, on real servers."""

import re

import psycopg
import pytest
from psycopg import sql

from chronolake.capture.attempt import Outcome
from chronolake.capture.columns import TABLES
from chronolake.capture.entity import EntityKind
from chronolake.capture.session import SessionState, Wanted
from chronolake.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    MigrationFailed,
    Retry,
)
from chronolake.extract import FailureKind
from chronolake.ingest import OVERRIDABLE
from chronolake.oltp import Database, current_lsn, migrate, queue_schema
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.settings import load

COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity
    FROM information_schema.columns WHERE table_schema = %s ORDER BY 1, ordinal_position
"""
INDEXES = """
    SELECT tablename, replace(indexdef, schemaname || '.', '')
    FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid), %(schema)s || '.', '')
    FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace ORDER BY 1, 2
"""
IDENTITY = """
    SELECT relname, relreplident FROM pg_class
    WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1
"""
PUBLISHED = """
    SELECT tablename, attnames::text[] FROM pg_publication_tables WHERE pubname = 'chronolake' ORDER BY 1
"""
OURS = {"schema_migrations"}
#: Published for the sync itself; no table of the lake.
NO_FACTS = {"sync_heartbeat"}


def shape(conn, schema, *, queue=False):
    """What the schema holds: our tables, or those of the job queue's library."""
    conn.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))

    def meant(row):
        return row[0].startswith("procrastinate_") == queue and row[0] not in OURS

    return {
        "columns": list(filter(meant, conn.execute(COLUMNS, [schema]))),
        "indexes": list(filter(meant, conn.execute(INDEXES, [schema]))),
        "constraints": list(filter(meant, conn.execute(CONSTRAINTS, {"schema": schema}))),
        "published": list(conn.execute(PUBLISHED)),
        "identity": list(filter(meant, conn.execute(IDENTITY, [schema]))),
    }


def test_schema_sql_is_what_the_migrations_leave(database):
    with database.connection() as conn:
        migrated = shape(conn, "chronolake")
        # Of a publication there is one in a database, whatever the schema.
        conn.execute("DROP PUBLICATION chronolake")
        conn.execute("CREATE SCHEMA other")
        conn.execute("SET search_path TO other")
        conn.execute((migrate.files("chronolake.oltp") / "schema.sql").read_bytes())
        read = shape(conn, "other")
        conn.rollback()
    assert migrated["columns"]
    assert str(read).replace("other.", "") == str(migrated).replace("chronolake.", "")


def test_the_queue_is_as_its_library_lays_it_down_at_once_or_step_by_step(database):
    """As the library does it for a new database, and by its migrations one after the other."""
    with database.connection() as conn:
        laid_down = shape(conn, "chronolake", queue=True)
        conn.execute("CREATE SCHEMA other")
        conn.execute("SET search_path TO other")
        conn.execute("CREATE TABLE queue_migrations (name text PRIMARY KEY)")
        first, *others = queue_schema.known()
        conn.execute((queue_schema._folder() / "migrations" / first).read_bytes())
        conn.execute("INSERT INTO queue_migrations VALUES (%s)", [first])
        assert queue_schema.missing(conn) == tuple(others)
        assert queue_schema.bring_up(conn) == len(others)
        assert queue_schema.missing(conn) == ()
        stepped = shape(conn, "other", queue=True)
        conn.rollback()
    assert len(laid_down["columns"]) > 20
    assert {row[:3] for row in stepped["columns"]} == {row[:3] for row in laid_down["columns"]}


def test_a_queue_of_a_newer_library_is_told(database, make_settings):
    with database.connection() as conn:
        conn.execute("INSERT INTO queue_migrations (name) VALUES ('99.00.00_01_pre_newer.sql')")
    with pytest.raises(MigrationFailed, match=r"99\.00\.00_01") as caught, Database.open(make_settings()):
        pass
    assert "pip install --upgrade procrastinate" in caught.value.hint


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_catalogue_has_what_the_registry_declares(database, table):
    query = """
        SELECT column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = 'chronolake' AND table_name = %s ORDER BY ordinal_position
    """
    with database.connection() as conn:
        found = conn.execute(query, [table.postgres_table]).fetchall()
        named = [row[:2] for row in conn.execute(query, [table.name])]
    declared = [(c.name, c.postgres, "YES" if c.nullable else "NO") for c in table.stored]
    assert [row for row in found if row[0] in table.arrow_schema.names] == declared
    # A view of the lake's name shows what the lake has and no more.
    if table.postgres_table != table.name:
        assert named == [row[:2] for row in declared]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_synced_texts_sort_by_their_bytes_and_the_key_is_the_registrys(database, table):
    texts = """
        SELECT column_name FROM information_schema.columns
        WHERE table_schema = 'chronolake' AND table_name = %s AND data_type = 'text'
            AND collation_name IS DISTINCT FROM 'C'
    """
    key = """
        SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = %s::regclass AND i.indisprimary
    """
    with database.connection() as conn:
        assert conn.execute(texts, [table.postgres_table]).fetchall() == []
        assert conn.execute(key, [table.postgres_table]).fetchall() == [(table.key,)]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_change_carries_the_key_and_where_the_lake_has_the_row(database, table):
    identity = """
        SELECT a.attname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
            AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE c.oid = %s::regclass
    """
    with database.connection() as conn:
        carried = {name for (name,) in conn.execute(identity, [table.postgres_table])}
    assert carried >= {table.key, table.bucket_by or table.key, table.time or table.key}


def test_the_publication_is_the_registrys_tables_and_the_heartbeat(database):
    with database.connection() as conn:
        published = dict(conn.execute(PUBLISHED).fetchall())
        actions = conn.execute(
            "SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = 'chronolake'"
        ).fetchone()
    assert set(published) == {table.postgres_table for table in TABLES.values()} | NO_FACTS
    for table in TABLES.values():
        assert set(published[table.postgres_table]) == {column.name for column in table.stored}
    assert actions == (True, True, True, True)


def test_a_column_added_to_a_table_that_lists_none_is_published_by_itself(database):
    with database.connection() as conn:
        conn.execute("ALTER TABLE cdx_records ADD COLUMN hops integer")
        conn.execute("ALTER TABLE pages ADD COLUMN secret text")
        published = dict(conn.execute(PUBLISHED).fetchall())
    assert "hops" in published["cdx_records"]
    assert not {"secret", "title", "text"} & set(published["pages"])
    assert "owner_id" not in published["projects"]


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("archive_request_attempts_outcome_check", Outcome),
        ("page_entities_kind_check", EntityKind),
        ("page_failures_kind_check", FailureKind),
        ("extraction_decisions_reason_check", OVERRIDABLE),
        ("scrape_sessions_state_check", SessionState),
        ("scrape_progress_wanted_check", Wanted),
    ],
)
def test_postgresql_takes_the_words_that_the_code_has(database, constraint, words):
    with database.connection() as conn:
        (text,) = conn.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [constraint]
        ).fetchone()
    assert set(re.findall("'([a-z_]+)'", text)) == set(words)


def test_every_table_stands_in_the_document(database, pytestconfig):
    text = (pytestconfig.rootpath / "docs" / "database.md").read_text()
    with database.connection() as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'chronolake'::regnamespace AND relkind IN ('r', 'v', 'S')"
        )
        missing = [name for (name,) in tables if f"`{name}`" not in text and not name.endswith("_id_seq")]
    assert missing == []


def test_migrating_again_does_nothing_and_a_changed_file_is_told(database, make_settings):
    with database.connection() as conn:
        assert migrate.migrate(conn) == 0
    known = [migration.version for migration in migrate.migrations()]
    assert [entry["version"] for entry in database.migrations()] == known == sorted(set(known))
    with database.connection() as conn:
        conn.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    with (
        pytest.raises(MigrationFailed, match=r"0001_first.sql was changed") as caught,
        Database.open(make_settings()),
    ):
        pass
    assert caught.value.retry is Retry.OPERATOR
    with database.connection() as conn:
        conn.execute("UPDATE schema_migrations SET version = 99 WHERE version = 1")
    with pytest.raises(MigrationFailed, match="does not know"), Database.open(make_settings()):
        pass


def test_a_migration_that_fails_leaves_nothing(database, make_settings, monkeypatch):
    broken = migrate.Migration(
        9999, "9999_broken.sql", b"CREATE TABLE half (x int); SELECT no_such_function()"
    )
    all_of_them = (*migrate.migrations(), broken)
    monkeypatch.setattr(migrate, "migrations", lambda: all_of_them)
    with pytest.raises(MigrationFailed, match="no_such_function"), Database.open(make_settings()):
        pass
    with database.connection() as conn:
        assert conn.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_a_connection_commits_at_the_end_and_rolls_back_on_an_error(database):
    with database.connection() as conn:
        conn.execute("INSERT INTO projects (name) VALUES ('kept')")
    with pytest.raises(DatabaseError, match="nonsense"), database.connection() as conn:
        conn.execute("WITH lost AS (INSERT INTO projects (name) VALUES ('lost')) SELECT nonsense")
    with database.connection() as conn:
        assert conn.execute("SELECT name FROM projects").fetchall() == [("kept",)]
        assert "/" in current_lsn(conn)


def test_a_server_that_is_not_there(tmp_path):
    settings = load(
        {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/none", "CHRONOLAKE_DB_CONNECT_TIMEOUT_S": "2"}
    )
    with pytest.raises(DatabaseUnavailable) as caught, Database.open(settings):
        pass
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert caught.value.hint


def test_an_address_that_cannot_be_read_keeps_its_secret():
    settings = load({"DATABASE_URL": "postgresql://me:hunter2@host:notaport/x?nosuch=1"})
    with pytest.raises((DatabaseUnavailable,)) as caught, Database.open(settings):
        pass
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.fixture
def guest_url(database_url):
    """The database without our schema, for a role that may only connect."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA chronolake CASCADE")
        conn.execute("DROP ROLE IF EXISTS guest")
        conn.execute("CREATE ROLE guest LOGIN")
        yield database_url.replace("postgres@", "guest@")
        conn.execute("DROP OWNED BY guest")
        conn.execute("DROP ROLE guest")


def test_a_role_without_rights_is_told_what_to_grant(guest_url):
    with (
        pytest.raises(DatabaseMisconfigured, match="may not create") as caught,
        Database.open(load({"DATABASE_URL": guest_url})),
    ):
        pass
    assert re.search(r'GRANT CREATE ON DATABASE "test_\d+" TO "guest";', caught.value.hint)


def test_a_role_that_may_make_no_publication_is_told_what_to_grant(guest_url, database_url):
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("DROP PUBLICATION chronolake")
        owner.execute("CREATE SCHEMA chronolake AUTHORIZATION guest")
        with (
            pytest.raises(DatabaseMisconfigured, match="0003_synced_tables") as caught,
            Database.open(load({"DATABASE_URL": guest_url})),
        ):
            pass
        owner.execute(re.search("GRANT [^;]*;", caught.value.hint)[0])
    with Database.open(load({"DATABASE_URL": guest_url})) as database:
        assert database.migrations()


def test_a_publication_that_outlived_its_schema_is_made_anew(database_url):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA chronolake CASCADE")
    with Database.open(load({"DATABASE_URL": database_url})) as database, database.connection() as conn:
        assert len(conn.execute(PUBLISHED).fetchall()) == len(TABLES) + len(NO_FACTS)


def test_the_pool_outlives_a_connection_that_the_server_ended(database):
    with database.connection() as conn:
        pid = conn.info.backend_pid
    with database.connection() as other:
        other.execute("SELECT pg_terminate_backend(%(pid)s) WHERE %(pid)s <> pg_backend_pid()", {"pid": pid})
    for _ in range(3):
        with database.connection() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
def test_postgresql_16_by_its_address_and_wal_level_replica_refused(tmp_path):
    server = EmbeddedServer(tmp_path, version=16)
    server.start()
    try:
        with Database.open(load({"DATABASE_URL": server.url})) as database:
            assert database.server_version // 10_000 == 16
            assert database.migrations()
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET wal_level = 'replica'")
    finally:
        server.stop()
    with (tmp_path / "postgres" / "chronolake.conf").open() as file:
        assert "wal_level = logical" in file.read()
    # What ALTER SYSTEM says stands above every file.
    server = EmbeddedServer(tmp_path, version=16)
    server.start()
    try:
        with (
            pytest.raises(DatabaseMisconfigured, match="replica") as caught,
            Database.open(load({"DATABASE_URL": server.url})),
        ):
            pass
        assert "ALTER SYSTEM SET wal_level = logical" in caught.value.hint
    finally:
        server.stop()
