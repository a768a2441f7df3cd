"""`QueryOptimizer`: what makes questions cheaper, proposed, done and undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronolake.errors import LakeUnavailable, ParameterInvalid
from chronolake.lake import Lake, Refreshed, Rollup, RollupState
from chronolake.oltp import Database
from chronolake.query.params import read
from chronolake.query.question import Question, named
from chronolake.query.rollup import blocks, derived, shaped

#: Any will do where cells are told apart by it, or hold all of it.
_ANY = {
    "domain": "example.com",
    "project": "any",
    "projects": "any",
    "start": "2000",
    "end": "2001",
    "other_start": "2002",
    "other_end": "2003",
}


@dataclass(frozen=True)
class Wanted:
    """A rollup that a question would read from; `asked` says which question, asked how."""

    rollup: Rollup
    asked: str


class QueryOptimizer:
    """Makes rollups for questions, and keeps a list of them. For one thread at a time."""

    def __init__(self, *, database: Database, lake: Lake | None) -> None:
        self._database = database
        self._lake = lake

    def rollups_for(self, name: str, params: Mapping[str, Any], *, by_project: bool) -> list[Wanted]:
        """The rollups that a question would read from, asked with these choices.

        Of `params` those count that decide what is grouped and how, as `interval` does. Where it asks for one domain,
        the rollup has all.

        Raises:
            QuestionUnknown: there is no such question.
            ParameterInvalid: a parameter is unknown or out of bounds, or a rollup can do nothing for the question.
        """
        question = named(name)
        values = _values(question, params)
        asked = " ".join([name, *(f"{key}={value}" for key, value in sorted(params.items()))])
        found = {
            rollup.name: Wanted(rollup, asked + (", by project" if by_project else ""))
            for block in blocks(shaped(question.tree, values), values)
            for rollup in [derived(block, by_project=by_project)]
        }
        if not found:
            raise ParameterInvalid(
                f"no rollup serves {name}: it looks at single captures, not at groups of them",
                hint="docs/rollups.md tells which questions they serve.",
            )
        return list(found.values())

    def make(self, wanted: Sequence[Wanted]) -> list[Refreshed]:
        """Make rollups and compute their cells; those that are there already are left out.

        Raises:
            LakeError: the lake cannot be used or written.
        """
        rollups = self._lake_of_ours().rollups()
        made = [rollups.make(want.rollup, asked=want.asked) for want in wanted]
        return [refreshed for refreshed in made if refreshed is not None]

    def rollups(self) -> list[RollupState]:
        """Every rollup and how far it is, oldest first."""
        return self._lake_of_ours().rollups().states()

    def refresh(self) -> list[Refreshed]:
        """Compute the cells anew whose rows came or went."""
        return self._lake_of_ours().rollups().refresh_all()

    def drop(self, name: str) -> None:
        """Forget a rollup.

        Raises:
            ParameterInvalid: there is none of that name.
        """
        if not self._lake_of_ours().rollups().drop(name):
            raise ParameterInvalid(
                f"there is no rollup {name!r}", hint="See which there are: chronolake optimize rollups"
            )

    def _lake_of_ours(self) -> Lake:
        if self._lake is None:
            raise LakeUnavailable("rollups lie in the lake, and there is none")
        return self._lake


def _values(question: Question, params: Mapping[str, Any]) -> dict[str, Any]:
    """The question's values with these choices; what else it needs is filled in, for it does not matter which."""
    needed = {
        name: _ANY[name]
        for name, field in question.params.model_fields.items()
        if name in _ANY and (field.is_required() or name == "domain")
    }
    values = read(question.name, question.params, {**needed, **params}).model_dump()
    return {name: value for name, value in values.items() if name not in {"project", "projects"}}
