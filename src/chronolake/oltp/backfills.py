"""The ranges in which a table is copied, and what the copy has to remember between one process and the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection, sql

from chronolake.oltp.statements import one, statement


@dataclass(frozen=True)
class TableSize:
    """A table on the disk: `filenode` is its file; `rows` are the planner's guess, -1 where it has none."""

    filenode: int
    blocks: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class CopyFacts:
    """What is known of a table's copy.

    Every range was copied at a snapshot from `from_lsn` on and before or at `careful_lsn`; `batches` are staged batches
    that the first of them saw; `shape` is the columns of all. `ranges_total` is null for a copy that is asked for and
    has not begun.
    """

    table_name: str
    state: str
    from_lsn: int | None
    careful_lsn: int | None
    epoch: str | None
    batches: tuple[int, ...]
    filenode: int | None
    shape: str | None
    ranges_total: int | None


@dataclass(frozen=True)
class Range:
    """Blocks of a table's file, from `lower` to before `upper`; `file` holds what was copied, once it was."""

    number: int
    lower: int | None
    upper: int | None
    state: str
    rows: int | None
    file: str | None

    @property
    def is_staged(self) -> bool:
        """Whether its rows are copied."""
        return self.state == "staged"


def table_size(conn: Connection, postgres_table: str) -> TableSize:
    """How large a table is now."""
    return TableSize(*one(conn, "table_size", [postgres_table]))


def copies(conn: Connection) -> dict[str, CopyFacts]:
    """What is known of each table's copy, by name."""
    rows = conn.execute(statement("sync_table_copies")).fetchall()
    return {
        name: CopyFacts(name, state, from_lsn, careful_lsn, epoch, tuple(batches), *more)
        for name, state, from_lsn, careful_lsn, epoch, batches, *more in rows
    }


def begin(
    conn: Connection,
    *,
    table_name: str,
    state: str,
    lsn: str,
    epoch: str,
    batches: Sequence[int],
    size: TableSize,
    shape: str,
    bounds: Sequence[tuple[int | None, int | None]],
    estimate: int,
) -> None:
    """Note that a copy begins, with the ranges it has."""
    conn.execute(statement("backfill_ranges_drop"), [table_name])
    conn.execute(
        statement("sync_table_begin_copy"),
        {
            "table_name": table_name,
            "state": state,
            "lsn": lsn,
            "epoch": epoch,
            "batches": list(batches),
            "filenode": size.filenode,
            "shape": shape,
            "ranges": len(bounds),
            "estimate": estimate,
        },
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            statement("backfill_range_add"),
            [(table_name, number, lower, upper) for number, (lower, upper) in enumerate(bounds)],
        )


def ranges(conn: Connection, table_name: str) -> list[Range]:
    """The ranges of a table's copy, in order."""
    return [Range(*row) for row in conn.execute(statement("backfill_ranges"), [table_name])]


def staged(conn: Connection, table_name: str, number: int, *, rows: int, file: str, lsn: str) -> None:
    """Note that a range is copied, at the snapshot that lay at `lsn`."""
    values = {"table_name": table_name, "number": number, "rows": rows, "file": file, "lsn": lsn}
    conn.execute(statement("sync_table_lock"), values)
    conn.execute(statement("backfill_range_staged"), values)
    conn.execute(statement("sync_table_progress"), values)


def again(conn: Connection, table_name: str, number: int) -> None:
    """A range is to be copied again."""
    conn.execute(statement("backfill_range_again"), [table_name, number])
    conn.execute(statement("sync_table_progress"), {"table_name": table_name})


def forget(conn: Connection, table_name: str) -> None:
    """Forget the ranges of a table's copy."""
    conn.execute(statement("backfill_ranges_drop"), [table_name])


def count(conn: Connection, postgres_table: str) -> int:
    """How many rows a table has: for one that nobody has counted yet."""
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(postgres_table))
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
