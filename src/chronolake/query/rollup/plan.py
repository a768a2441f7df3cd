"""What an answer is read from where rollups serve: the statement, its values, and how fresh they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from chronolake.lake import RollupState
from chronolake.query.freshness import Demand, Freshness
from chronolake.query.question import Question
from chronolake.query.rollup.rewriting import rewritten
from chronolake.query.route import Engine
from chronolake.query.scope import Scope
from chronolake.query.text import bound, rendered, scope_laid_over


@dataclass(frozen=True)
class Plan:
    """A statement over rollups, for DuckDB, with its values; `names` are the rollups that it reads from."""

    text: str
    values: Mapping[str, Any]
    names: tuple[str, ...]
    fresh: Freshness


def plan(
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
    usable = {state.rollup.name: state for state in states if _fresh_enough(state, demand)}
    if not usable:
        return None
    found = rewritten(
        question.tree, values, scope, [(state.rollup, state.cells or 0) for state in usable.values()]
    )
    if found is None:
        return None
    names = tuple(sorted(rollup.name for rollup in found.rollups))
    tree = found.tree if scope.project_ids is None else scope_laid_over(found.tree, beside=names)
    asked = {node.name for node in tree.find_all(exp.Placeholder)}
    behind = [usable[name] for name in names if not usable[name].current]
    return Plan(
        text=rendered(tree, Engine.DUCKDB),
        values={name: value for name, value in bound(values, scope).items() if name in asked},
        names=names,
        fresh=min((_freshness(state) for state in behind), key=_moment, default=fresh),
    )


def _fresh_enough(state: RollupState, demand: Demand) -> bool:
    if state.current or state.snapshot_id is None:
        return state.current
    return demand.max_lag_s is not None and demand.unmet(_freshness(state)) is None


def _freshness(state: RollupState) -> Freshness:
    """How fresh a rollup is whose table has changed since."""
    if state.noted_at is None:
        return Freshness(None, None, None, ("as_of and lag_s are unknown: the lake followed no stream then",))
    lag_s = max(0.0, (datetime.now(UTC) - state.noted_at).total_seconds())
    return Freshness(state.lsn, state.noted_at, round(lag_s, 3), snapshot_id=state.snapshot_id)


def _moment(fresh: Freshness) -> datetime:
    return fresh.as_of or datetime.min.replace(tzinfo=UTC)
