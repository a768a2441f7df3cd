"""DuckDB's plans, as EXPLAIN (ANALYZE, FORMAT JSON) tells them, as steps. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chronolake.lake import RESIDENT
from chronolake.query.explain.step import Step, columns_of, conditions_of, with_time_shares

_DIALECT = "duckdb"
#: What is there for the sake of the explaining.
_AROUND = frozenset({"EXPLAIN_ANALYZE", "RESULT_COLLECTOR"})
#: A file of the lake lies in a folder of its table's name.
_TABLE = re.compile(r"/main/([^/]+)/")
#: What follows a table's name where its rows are kept in memory: a number that each taking in has anew.
_RESIDENT = re.compile(f"{re.escape(RESIDENT)}[0-9]+$")
#: How a condition is told that may be passed over.
_OPTIONAL = "optional: "


def normalised(document: Mapping[str, Any]) -> Step:
    """The plan as steps."""
    root = _root(document)
    times = dict(enumerate(float(node.get("operator_timing", 0.0)) for node in _nodes(root)))
    return _without_nothing(with_time_shares(_step(root), times))


def elapsed_ms(document: Mapping[str, Any]) -> float:
    """Milliseconds from the start to the last row."""
    return float(document["latency"]) * 1000


def _root(document: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Mapping[str, Any] = document
    while "operator_type" not in node or node["operator_type"] in _AROUND:
        node = node["children"][0]
    return node


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("children", ()):
        yield from _nodes(child)


def _step(node: Mapping[str, Any]) -> Step:
    told = node.get("extra_info", {})
    steps = tuple(_step(child) for child in node.get("children", ()))
    operator = str(node["operator_type"]).lower()
    if "Join Type" in told and told["Join Type"] != "INNER":
        operator = f"{told['Join Type'].lower()} {operator}"
    conditions = {
        condition
        for name in ("Filters", "Conditions", "Expression")
        for text in _listed(told.get(name))
        for condition in conditions_of(text.removeprefix(_OPTIONAL), _DIALECT)
    }
    return Step(
        operator=operator,
        table=_table(told),
        conditions=tuple(sorted(conditions)),
        by=columns_of(_listed(told.get("Order By")), _DIALECT),
        # Of a scan the engine tells an estimate of the rows, several times over.
        rows_in=sum(step.rows_out for step in steps) if steps else None,
        rows_out=int(node.get("operator_cardinality", 0)),
        steps=steps,
    )


def _without_nothing(step: Step) -> Step:
    """The plan without files that the engine knew to be of no use: which they are, values decide."""
    steps = tuple(map(_without_nothing, step.steps))
    if step.operator == "union":
        read = tuple(each for each in steps if each.operator != "empty_result")
        if len(read) == 1:
            return read[0]
        steps = read or steps
    return replace(step, steps=steps)


def _table(told: Mapping[str, Any]) -> str | None:
    if "Table" in told:
        # The same plan, wherever its rows lie.
        return _RESIDENT.sub("", str(told["Table"]).rpartition(".")[2].strip('"'))
    found = _TABLE.search(str(told.get("Filename(s)", "")))
    return found[1] if found else None


def _listed(found: object) -> Sequence[str]:
    """One text, or several."""
    if isinstance(found, str):
        return found.splitlines()
    return [str(text) for text in found] if isinstance(found, list) else []
