"""Which rollups would have served what was asked of late, and what each would save.

Pure, but for the types of columns, which the lake tells.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import exp

from chronolake.errors import LakeError
from chronolake.lake import Estimate, Rollup
from chronolake.oltp.searches import Counted
from chronolake.query.question import Question
from chronolake.query.recalled import read_back
from chronolake.query.rollup import rewritten, shape_of, shaped, wanted
from chronolake.query.scope import Scope
from chronolake.query.text import tables_read
from chronolake.query.wording import asked_in_words

#: One that has a cell for more than every fourth row is nearly as much to read as the rows.
MOST_CELLS = 0.25
#: Any projects will do: what matters is whether it is one, or several.
_SCOPES = {
    None: Scope.everything(),
    0: Scope(frozenset()),
    1: Scope(frozenset({1})),
    2: Scope(frozenset({1, 2})),
}


@dataclass(frozen=True)
class Candidate:
    """A rollup, and the questions that it would have served: how many, and the seconds that its part of them took.

    `asked` names the costliest of them with its choices.
    """

    rollup: Rollup
    asked: str
    times: int
    seconds: float


@dataclass(frozen=True)
class Proposal:
    """A rollup that is worth making, with what it would take and save."""

    candidate: Candidate
    estimate: Estimate
    saved_s_per_day: float

    kind = "rollup"
    action = "make"

    @property
    def name(self) -> str:
        """The rollup's."""
        return self.candidate.rollup.name

    @property
    def why(self) -> str:
        """In words."""
        asked = self.candidate
        return f"asked {asked.times} times, which took {asked.seconds:.1f} s"

    @property
    def figures(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        return {
            "times": self.candidate.times,
            "seconds": round(self.candidate.seconds, 3),
            "rows": self.estimate.rows,
            "cells": self.estimate.cells,
            "bytes": self.estimate.bytes,
            "saved_s_per_day": round(self.saved_s_per_day, 3),
        }

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "kind": self.kind,
            "action": self.action,
            "name": self.name,
            "asked": self.candidate.asked,
            "why": self.why,
            **self.figures,
        }


def candidates(
    asked: Sequence[Counted], there: Collection[str], typed: Callable[[Rollup], Rollup]
) -> list[Candidate]:
    """The rollups that these questions would have been read from, less those that are there.

    `typed` tells the types of a rollup's columns. A question counts where its text would read from the rollup, by the
    share of its tables that the rollup would stand for.
    """
    kinds = lru_cache(maxsize=None)(typed)
    found: dict[str, Candidate] = {}
    # Questions about different domains are alike, and to see what would serve one takes some milliseconds.
    by_shape: dict[Hashable, list[tuple[Rollup, float]]] = {}
    for counted in asked:
        question, values = read_back(counted)
        if question is None:
            continue
        shape = question.name, shape_of(values), counted.project_count
        if shape not in by_shape:
            by_shape[shape] = _served(question, values, counted.project_count, kinds)
        for rollup, share in by_shape[shape]:
            if rollup.name in there:
                continue
            held = found.get(rollup.name)
            # What comes first took longest, so that its words stay.
            found[rollup.name] = Candidate(
                rollup,
                held.asked if held else asked_in_words(question, values, counted.project_count),
                (held.times if held else 0) + counted.times,
                (held.seconds if held else 0.0) + counted.seconds * share,
            )
    return list(found.values())


def proposals(
    found: Sequence[Candidate], estimates: Mapping[str, Estimate], *, days: float, room_bytes: float
) -> list[Proposal]:
    """Those that are worth it and fit into the room, what saves most first.

    `days` are those in which the questions were asked.
    """
    worth = []
    for candidate in found:
        estimate = estimates[candidate.rollup.name]
        if estimate.cells > MOST_CELLS * estimate.rows:
            continue
        left_share = estimate.cells / estimate.rows if estimate.rows else 0.0
        worth.append(Proposal(candidate, estimate, candidate.seconds * (1 - left_share) / days))
    kept = []
    for proposal in sorted(worth, key=lambda proposal: (-proposal.saved_s_per_day, proposal.name)):
        if proposal.estimate.bytes <= room_bytes:
            room_bytes -= proposal.estimate.bytes
            kept.append(proposal)
    return kept


def _served(
    question: Question, values: dict[str, Any], projects: int | None, typed: Callable[[Rollup], Rollup]
) -> list[tuple[Rollup, float]]:
    """The rollups that the question would be read from, each with the share of its tables that it stands for."""
    tree = shaped(question.tree, values)
    tables = len(list(tables_read(tree)))
    served = []
    for plain in wanted(tree, values, by_project=projects is not None):
        try:
            rollup = typed(plain)
        except LakeError:
            # A column is gone, or has a type that the lake does not keep.
            continue
        now = rewritten(question.tree, values, _SCOPES[projects], [(rollup, 0)])
        if now is not None:
            read_from = [table for table in now.tree.find_all(exp.Table) if table.name == rollup.name]
            served.append((rollup, len(read_from) / tables))
    return served
