"""What engines did to answer: plans by question and shape, and how long each took."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from chronolake.oltp.statements import one, statement

#: First half of the key of the advisory lock of whoever looks at a plan, "plan" in ASCII; the other is the shape.
ALONE = 0x706C616E
#: Of each plan so many runs are kept, the newest: more change no median that anyone would notice.
RUNS_KEPT = 100
#: Plans that are told of: the newest.
LISTED_AT_MOST = 1000
#: Plans that one statement deletes.
FORGOTTEN_AT_ONCE = 1000
#: A plan is some kilobytes: a table that is locked for longer is not waited for.
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Planned:
    """How a question was answered once. `steps` is a JSON document; equal steps have equal fingerprints.

    `shape` is equal for questions that differ in values only, `asked` tells it in words.
    """

    shape: str
    engine: str
    fingerprint: str
    question: str
    asked: str
    steps: Mapping[str, Any]


@dataclass(frozen=True)
class PlanTimes:
    """A plan, since when and until when an engine took it, how many runs are known, and the median of their times."""

    planned: Planned
    first_at: datetime
    last_at: datetime
    runs: int
    median_ms: float


def alone(conn: Connection, shape: str) -> bool:
    """Whether nobody else looks at how questions of that shape are answered until this transaction ends."""
    return bool(one(conn, "query_plan_alone", {"key": ALONE, "shape": shape})[0])


def keep(conn: Connection, planned: Planned, elapsed_ms: float) -> None:
    """Note that a question was answered so, and how long it took."""
    conn.execute(statement("statement_timeout"), {"timeout_ms": str(round(TIMEOUT_S * 1000))})
    values = {**vars(planned), "steps": Jsonb(planned.steps), "elapsed_ms": elapsed_ms}
    [plan_id] = one(conn, "query_plan_keep", values)
    conn.execute(statement("query_plan_runs_trim"), {"plan_id": plan_id, "most": RUNS_KEPT})


def listed(conn: Connection, since: datetime, question: str | None = None) -> list[PlanTimes]:
    """The plans that engines took since a moment, newest first, LISTED_AT_MOST of them; of one question, or of all."""
    values = {"since": since, "question": question, "most": LISTED_AT_MOST}
    return [
        PlanTimes(Planned(*row[:6]), *row[6:])
        for row in conn.execute(statement("query_plans_listed"), values)
    ]


def forget(conn: Connection, before: datetime) -> int:
    """Let go of plans that no engine has taken since a moment, FORGOTTEN_AT_ONCE at most; how many went."""
    values = {"before": before, "most": FORGOTTEN_AT_ONCE}
    return conn.execute(statement("query_plans_forget"), values).rowcount
