"""What lies in the job queue; its tables are the library's (procrastinate), which alone puts in and takes out."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import class_row

from chronolake.oltp.statements import statement


@dataclass(frozen=True)
class Waiting:
    """How many jobs of a queue are in a state; `oldest_s`: for how long the one that is due longest has waited."""

    queue: str
    state: str
    jobs: int
    oldest_s: float


def hasten(conn: Connection, key: str) -> None:
    """Have the job with that key, which waits for its time, run now."""
    conn.execute(statement("queued_hasten"), [key])


def counts(conn: Connection) -> list[Waiting]:
    """Jobs by queue and state."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(statement("queued_counts")).fetchall()
