"""PostgreSQL's plans, as EXPLAIN (ANALYZE, FORMAT JSON) tells them, as steps. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from chronolake.query.explain.step import Step, columns_of, conditions_of, with_time_shares

_DIALECT = "postgres"
#: Where a plan's node tells what rows have to meet.
_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Filter",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
)
#: And how many did not.
_REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")


def normalised(document: Mapping[str, Any]) -> Step:
    """The plan as steps; `document` is the one that the list has which PostgreSQL answers with."""
    root = document["Plan"]
    times = dict(enumerate(_own_times(root)))
    return with_time_shares(_step(root), times)


def elapsed_ms(document: Mapping[str, Any]) -> float:
    """Milliseconds that planning and running took."""
    return float(document.get("Planning Time", 0.0)) + float(document.get("Execution Time", 0.0))


def cost(document: Mapping[str, Any]) -> float:
    """What the planner expects it to cost, in its own units."""
    return float(document["Plan"]["Total Cost"])


def _step(node: Mapping[str, Any]) -> Step:
    steps = tuple(_step(child) for child in node.get("Plans", ()))
    loops = int(node.get("Actual Loops", 0))
    # A node tells how many rows it gave each time that it ran; since version 18 with a fraction.
    rows_out = round(float(node.get("Actual Rows", 0)) * loops)
    removed = sum(round(float(node.get(name, 0)) * loops) for name in _REMOVED)
    conditions = {
        condition
        for name in _CONDITIONS
        if name in node
        for condition in conditions_of(str(node[name]), _DIALECT)
    }
    operator = str(node["Node Type"])
    if node.get("Join Type") not in (None, "Inner"):
        operator = f"{node['Join Type']} {operator}"
    return Step(
        operator=operator.lower(),
        table=node.get("Relation Name"),
        index=node.get("Index Name"),
        conditions=tuple(sorted(conditions)),
        by=columns_of(node.get("Sort Key", ()), _DIALECT),
        rows_in=sum(step.rows_out for step in steps) if steps else rows_out + removed,
        rows_out=rows_out,
        steps=steps,
    )


def _own_times(node: Mapping[str, Any]) -> Iterator[float]:
    """Each node's own time of the processor, from above; one that only waits for its workers has none."""
    children = node.get("Plans", ())
    yield max(0.0, _time(node) - sum(_time(child) for child in children))
    for child in children:
        yield from _own_times(child)


def _time(node: Mapping[str, Any]) -> float:
    return float(node.get("Actual Total Time", 0.0)) * float(node.get("Actual Loops", 0))
