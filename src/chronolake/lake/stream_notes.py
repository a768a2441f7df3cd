"""What the catalog notes of the change stream: how far it has been applied, by whom, and what shape tables have there.

It lies beside DuckLake's tables and moves in the commits that it speaks of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.types.json import Jsonb

from chronolake.errors import LakeBusy
from chronolake.lsn import format_lsn

OWN_TABLES = """
CREATE TABLE IF NOT EXISTS chronolake_checkpoint (
    id integer PRIMARY KEY CHECK (id = 1),
    epoch text NOT NULL,
    term bigint NOT NULL,
    lsn pg_lsn NOT NULL,
    committed_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS chronolake_terms;
CREATE TABLE IF NOT EXISTS chronolake_restaged (
    table_name text PRIMARY KEY,
    lsn pg_lsn NOT NULL
);
CREATE TABLE IF NOT EXISTS chronolake_relations (
    table_name text PRIMARY KEY,
    relation_oid bigint NOT NULL,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    key text NOT NULL,
    filenode bigint NOT NULL,
    copied_lsn pg_lsn NOT NULL,
    columns jsonb NOT NULL
);
"""


@dataclass(frozen=True)
class StreamCheckpoint:
    """How far the change stream has been applied: every commit of `epoch` up to `lsn`.

    The newest of them was made at `committed_at`; `noted_at` is when all that was found out. `term` numbers the
    workers that have led: one whose term is over cannot commit.
    """

    epoch: str
    term: int
    lsn: int
    committed_at: datetime
    noted_at: datetime


@dataclass(frozen=True)
class RelationNote:
    """The shape of a PostgreSQL table that a lake table has followed last.

    `columns` are: PostgreSQL's number of the column, its name, type and modifier there, DuckLake's number of it here.
    Changes before `copied_lsn` are in the copy that the lake table began as; `filenode` tells whether PostgreSQL wrote
    the rows anew since.
    """

    table_name: str
    relation_oid: int
    schema_name: str
    relation_name: str
    key: str
    filenode: int
    copied_lsn: int
    columns: tuple[tuple[int, str, int, int, int], ...]


def note_checkpoint(conn: Connection, checkpoint: StreamCheckpoint) -> None:
    """Write down how far the stream has been applied.

    Raises:
        LakeBusy: another worker leads since, and this one must not commit.
    """
    noted = conn.execute(
        "INSERT INTO chronolake_checkpoint AS held (id, epoch, term, lsn, committed_at, noted_at)"
        " VALUES (1, %(epoch)s, %(term)s, %(lsn)s, %(committed_at)s, %(noted_at)s)"
        " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, term = excluded.term, lsn = excluded.lsn,"
        " committed_at = excluded.committed_at, noted_at = excluded.noted_at WHERE held.term <= excluded.term",
        vars(checkpoint) | {"lsn": format_lsn(checkpoint.lsn)},
    )
    if not noted.rowcount:
        raise LakeBusy("another sync worker leads since")


def note_restaged(conn: Connection, lsns: Mapping[str, int]) -> None:
    """Write down, by table, an LSN up to which rows that were staged anew are ahead of the stream."""
    for table_name, lsn in lsns.items():
        conn.execute(
            "INSERT INTO chronolake_restaged AS held VALUES (%s, %s) ON CONFLICT (table_name)"
            " DO UPDATE SET lsn = greatest(held.lsn, excluded.lsn)",
            [table_name, format_lsn(lsn)],
        )


def restaged(conn: Connection) -> dict[str, int]:
    """By table, the LSN up to which the lake may hold rows that the stream still brings."""
    found = conn.execute("SELECT table_name, (lsn - '0/0'::pg_lsn)::bigint FROM chronolake_restaged")
    return {row[0]: row[1] for row in found}


def take_term(conn: Connection) -> int:
    """The number of the term that begins; whoever led before cannot commit from now on."""
    # From a sequence, so that two who both find no checkpoint yet have terms of their own.
    row = conn.execute(
        "WITH next AS (SELECT greatest(nextval('chronolake_terms'), (SELECT term + 1 FROM chronolake_checkpoint)) term)"
        ", taken AS (UPDATE chronolake_checkpoint SET term = next.term FROM next) SELECT term FROM next"
    ).fetchone()
    return int(row[0]) if row else 1


def stream_checkpoint(conn: Connection) -> StreamCheckpoint | None:
    """How far the stream has been applied; null where none ever was."""
    row = conn.execute(
        "SELECT epoch, term, (lsn - '0/0'::pg_lsn)::bigint, committed_at, noted_at FROM chronolake_checkpoint"
    ).fetchone()
    return StreamCheckpoint(*row) if row else None


def relation_notes(conn: Connection) -> list[RelationNote]:
    """What was noted of each lake table that has followed PostgreSQL."""
    rows = conn.execute(
        "SELECT table_name, relation_oid, schema_name, relation_name, key, filenode,"
        " (copied_lsn - '0/0'::pg_lsn)::bigint, columns FROM chronolake_relations"
    )
    return [RelationNote(*(*row[:7], tuple(tuple(column) for column in row[7]))) for row in rows]


def note_relation(conn: Connection, note: RelationNote) -> None:
    """Write down the shape that a lake table follows from this commit on."""
    conn.execute(
        "INSERT INTO chronolake_relations AS held (table_name, relation_oid, schema_name, relation_name, key, filenode,"
        " copied_lsn, columns) VALUES (%(table_name)s, %(relation_oid)s, %(schema_name)s, %(relation_name)s,"
        " %(key)s, %(filenode)s, %(copied_lsn)s, %(columns)s)"
        " ON CONFLICT (table_name) DO UPDATE SET relation_oid = excluded.relation_oid,"
        " schema_name = excluded.schema_name, relation_name = excluded.relation_name,"
        " key = excluded.key, filenode = excluded.filenode,"
        " copied_lsn = excluded.copied_lsn, columns = excluded.columns",
        vars(note) | {"copied_lsn": format_lsn(note.copied_lsn), "columns": Jsonb(note.columns)},
    )
