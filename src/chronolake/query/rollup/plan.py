"""What an answer is read from where rollups serve: the statement, its values, and how fresh they are."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlglot import exp

from chronolake.capture.columns import TABLES
from chronolake.lake import RollupState
from chronolake.query.freshness import Demand, Freshness
from chronolake.query.moment import EARLIEST, LATEST
from chronolake.query.params import Interval
from chronolake.query.question import Question
from chronolake.query.rollup.rewriting import begins, ends, rewritten
from chronolake.query.scanned import Scanned, of_tree
from chronolake.query.scope import Scope
from chronolake.query.text import bound, scope_laid_over

#: Statements that are kept, for to write one takes as long as to run it.
KEPT_STATEMENTS = 1000


@dataclass(frozen=True)
class Plan:
    """A statement over rollups with its values; `names` are the rollups that it reads from."""

    statement: Scanned
    values: Mapping[str, Any]
    names: tuple[str, ...]
    fresh: Freshness


@dataclass(frozen=True)
class _Over:
    """A statement over rollups, and the parameters that it has."""

    statement: Scanned
    names: tuple[str, ...]
    parameters: frozenset[str]


class Planner:
    """Writes statements over rollups, and keeps them: equal questions differ in values that no text depends on."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Over | None] = {}

    def plan(
        self,
        question: Question,
        values: Mapping[str, Any],
        scope: Scope,
        states: Sequence[RollupState],
        *,
        fresh: Freshness,
        demand: Demand,
    ) -> Plan | None:
        """How to answer from rollups; null where none serves.

        One whose table has changed since serves only whom `demand` lets be so far behind, and says so. `fresh` is how
        fresh the lake is.
        """
        usable = {state.rollup.name: state for state in states if _usable(state, fresh, demand)}
        if not usable:
            return None
        projects = None if scope.project_ids is None else len(scope.project_ids) == 1
        key = (question.name, shape_of(values), projects, tuple(usable))
        if key not in self._kept:
            while len(self._kept) >= KEPT_STATEMENTS:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = _over(question, values, scope, list(usable.values()))
        over = self._kept.get(key)
        if over is None:
            return None
        behind = [usable[name] for name in over.names if not usable[name].current]
        return Plan(
            over.statement,
            {name: value for name, value in bound(values, scope).items() if name in over.parameters},
            over.names,
            min((_freshness(state) for state in behind), key=_moment, default=fresh),
        )


def _over(
    question: Question, values: Mapping[str, Any], scope: Scope, states: Sequence[RollupState]
) -> _Over | None:
    found = rewritten(question.tree, values, scope, [(state.rollup, state.cells or 0) for state in states])
    if found is None:
        return None
    tables = {rollup.name: rollup.table for rollup in found.rollups}
    tree = found.tree if scope.project_ids is None else scope_laid_over(found.tree, beside=tables)
    return _Over(
        of_tree(tree, {**TABLES, **tables}),
        tuple(sorted(tables)),
        frozenset(node.name for node in tree.find_all(exp.Placeholder)),
    )


def shape_of(values: Mapping[str, Any]) -> Hashable:
    """Equal for values with which a question reads from the same rollups, by the same text."""
    return tuple((name, _mark(value)) for name, value in sorted(values.items()))


def _mark(value: object) -> Hashable:
    """All of a value that a text depends on: choices, what was left out, and which periods a time begins or ends."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        # All periods begin with the first day of 1996, too, a Monday: but a range from there is not an open one.
        marks = ((begins(value, interval), ends(value, interval)) for interval in Interval)
        return value == EARLIEST, value == LATEST, *marks
    return None if value is None else type(value).__name__


def _usable(state: RollupState, fresh: Freshness, demand: Demand) -> bool:
    """Whether it is fresh enough, and the snapshot that is read has its cells.

    States are looked up after the snapshot is known: cells that came in between are in none of its files.
    """
    if state.snapshot_id is None or state.held_in is None:
        return False
    if fresh.snapshot_id is None or state.held_in > fresh.snapshot_id:
        return False
    if state.current:
        return True
    return demand.max_lag_s is not None and demand.unmet(_freshness(state)) is None


def _freshness(state: RollupState) -> Freshness:
    """How fresh a rollup is whose table has changed since."""
    if state.noted_at is None:
        return Freshness(None, None, None, ("as_of and lag_s are unknown: the lake followed no stream then",))
    lag_s = max(0.0, (datetime.now(UTC) - state.noted_at).total_seconds())
    return Freshness(state.lsn, state.noted_at, round(lag_s, 3), snapshot_id=state.snapshot_id)


def _moment(fresh: Freshness) -> datetime:
    return fresh.as_of or datetime.min.replace(tzinfo=UTC)
