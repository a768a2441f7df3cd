"""Which indexes of PostgreSQL would serve what it was asked of late. Pure.

Two sources tell: plans that were looked at, where a step read a whole table for few of its rows or sorted one, and the
questions' own texts, where columns are compared with what was asked. Whether an index is worth it, a trial tells.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from chronolake.capture.columns import TABLES
from chronolake.oltp.index_trials import Trial
from chronolake.oltp.indexes import IndexState, name_of
from chronolake.query.explain.step import Compared, Condition, Step, conditions_in
from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.question import Question
from chronolake.query.rollup import shaped
from chronolake.query.text import known_table, tables_read

#: Rows of a table that is read whole, below which that is the fastest way.
LEAST_ROWS = 1000
#: Share of its rows that a step may let through, for an index to be worth a thought: of more it reads all anyway.
SELECTIVE = 0.2
#: Columns of an index: more make it larger and seldom more selective.
MOST_COLUMNS = 3
#: Share of the time that it has to save.
LEAST_GAIN = 0.3
#: Milliseconds over a copy, below which a table is read whole as fast as any index: what differs there is chance.
LEAST_MS = 2.0
#: Indexes that are tried at one time, those first whose questions took longest.
MOST_TRIED = 10
#: Operators of PostgreSQL that read a table from the first row to the last.
_WHOLE = frozenset({"seq scan", "parallel seq scan"})


@dataclass(frozen=True)
class IndexCandidate:
    """Columns of a table of PostgreSQL, in order; `questions` are those that they came from."""

    table: str
    columns: tuple[str, ...]
    questions: frozenset[str]

    @property
    def name(self) -> str:
        """The index's."""
        return name_of(self.table, self.columns)


@dataclass(frozen=True)
class IndexProposal:
    """An index that is worth making, with what a trial of it told."""

    candidate: IndexCandidate
    trial: Trial
    asked: str
    times: int
    seconds: float
    saved_s_per_day: float

    kind = "index"
    action = "make"

    @property
    def name(self) -> str:
        """The index's."""
        return self.candidate.name

    @property
    def why(self) -> str:
        """In words."""
        how = "a copy of some rows took" if self.trial.measured else "PostgreSQL expects"
        unit = " ms" if self.trial.measured else " of cost"
        return (
            f"asked {self.times} times, which took {self.seconds:.1f} s;"
            f" {how} {self.trial.before:.1f}{unit} without it, {self.trial.after:.1f} with it"
        )

    @property
    def figures(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        return {
            "times": self.times,
            "seconds": round(self.seconds, 3),
            "rows": self.trial.rows,
            "bytes": self.trial.bytes,
            "before": round(self.trial.before, 3),
            "after": round(self.trial.after, 3),
            "measured": self.trial.measured,
            "write_us": None if self.trial.write_us is None else round(self.trial.write_us, 3),
            "saved_s_per_day": round(self.saved_s_per_day, 3),
        }

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "kind": self.kind,
            "action": self.action,
            "name": self.name,
            "asked": self.asked,
            "table": self.candidate.table,
            "columns": list(self.candidate.columns),
            "why": self.why,
            **self.figures,
        }


@dataclass(frozen=True)
class UnusedIndex:
    """An index of ours that PostgreSQL has not used for so many days, or that was left half made."""

    state: IndexState
    days: float

    kind = "index"
    action = "drop"

    @property
    def name(self) -> str:
        """The index's."""
        return self.state.name

    @property
    def why(self) -> str:
        """In words."""
        if not self.state.valid:
            return "it was left half made, so that it costs and serves nothing"
        return f"PostgreSQL has not used it for {self.days:g} days"

    @property
    def figures(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        return {"bytes": self.state.bytes, "scans": self.state.scans}

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "kind": self.kind,
            "action": self.action,
            "name": self.name,
            "asked": "",
            "table": self.state.table,
            "columns": list(self.state.columns),
            "why": self.why,
            **self.figures,
        }


def of_plan(plan: Step) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tables of PostgreSQL with columns that an index of would have spared a step of the plan its work."""
    for step in plan.walk():
        wanted = _of_scan(step) or _of_sort(step)
        if wanted is not None:
            yield wanted


def of_question(
    question: Question, values: Mapping[str, Any], *, by_project: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The same of a question's text: columns that it compares with what was asked, or with values of its own."""
    for table in tables_read(shaped(question.tree, values)):
        select = table.parent_select
        # In a join a column may be of any of the tables.
        if not known_table(table) or not isinstance(table.parent, exp.From) or select is None:
            continue
        where = select.args.get("where")
        if select.args.get("joins") or where is None:
            continue
        declared = TABLES[table.name.lower()]
        conditions = [
            condition
            for part, found in conditions_in(where.this)
            for condition in found
            if not _is_open(part, values)
        ]
        if by_project and declared.project_by is not None:
            conditions.append(Condition(declared.project_by, Compared.EQUAL))
        columns = _columns(conditions)
        if columns:
            yield declared.postgres_table, columns


def candidates(
    found: Sequence[tuple[str, str, tuple[str, ...]]], there: Sequence[IndexState], refused: Collection[str]
) -> list[IndexCandidate]:
    """Each index that a question would have, once: (question, table, columns), less those that are `there` already."""
    by_columns: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    tables = {declared.postgres_table for declared in TABLES.values()}
    for question, table, columns in found:
        if (
            table in tables
            and not _is_served(table, columns, there)
            and name_of(table, columns) not in refused
        ):
            by_columns.setdefault((table, columns), set()).add(question)
    return [IndexCandidate(*key, frozenset(questions)) for key, questions in by_columns.items()]


def proposals(tried: Sequence[IndexProposal], *, room_bytes: float) -> list[IndexProposal]:
    """Those that are worth it and fit into the room, what saves most first; none that begins as one before it."""
    kept: list[IndexProposal] = []
    for proposal in sorted(tried, key=lambda proposal: (-proposal.saved_s_per_day, proposal.name)):
        alike = any(
            proposal.candidate.table == other.candidate.table
            and proposal.candidate.columns[0] == other.candidate.columns[0]
            for other in kept
        )
        if _is_clear(proposal.trial) and proposal.trial.bytes <= room_bytes and not alike:
            room_bytes -= proposal.trial.bytes
            kept.append(proposal)
    return kept


def _is_clear(trial: Trial) -> bool:
    return trial.gain >= LEAST_GAIN and not (trial.measured and trial.before < LEAST_MS)


def _of_scan(step: Step) -> tuple[str, tuple[str, ...]] | None:
    if step.operator not in _WHOLE or step.table is None or step.rows_in is None:
        return None
    if step.rows_in < LEAST_ROWS or step.rows_out > SELECTIVE * step.rows_in:
        return None
    columns = _columns(step.conditions)
    return (step.table, columns) if columns else None


def _of_sort(step: Step) -> tuple[str, tuple[str, ...]] | None:
    """A sort of rows that come straight from a table."""
    below = step.steps[0] if step.operator in ("sort", "incremental sort") and len(step.steps) == 1 else None
    if below is None or below.operator not in _WHOLE or below.table is None or step.rows_out < LEAST_ROWS:
        return None
    equal = [found.column for found in below.conditions if found.compared is Compared.EQUAL]
    columns = tuple(dict.fromkeys([*equal, *step.by]))[:MOST_COLUMNS]
    return (below.table, columns) if step.by else None


def _columns(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """What an index has first: columns of which one value is asked for, then one of which a range is."""
    equal = [found.column for found in conditions if found.compared is Compared.EQUAL]
    ranges = [found.column for found in conditions if found.compared is Compared.RANGE]
    return tuple(dict.fromkeys([*equal, *ranges[:1]]))[:MOST_COLUMNS]


def _is_served(table: str, columns: tuple[str, ...], there: Sequence[IndexState]) -> bool:
    return any(
        state.table == table and state.plain and state.valid and state.columns[: len(columns)] == columns
        for state in there
    )


def _is_open(part: exp.Expr, values: Mapping[str, Any]) -> bool:
    """Whether it asks for all times."""
    ends = [values.get(found.name) for found in part.find_all(exp.Placeholder)]
    return bool(ends) and all(end in (EARLIEST, LATEST) for end in ends)
