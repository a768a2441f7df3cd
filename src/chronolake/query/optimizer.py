"""`QueryOptimizer`: what makes questions cheaper, proposed, done and undone."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chronolake.errors import LakeError, LakeUnavailable, ParameterInvalid
from chronolake.lake import Lake, Refreshed, Rollup, RollupState
from chronolake.oltp import Database, optimizer_log, query_plans, searches
from chronolake.oltp.optimizer_log import Action, Change
from chronolake.oltp.query_plans import PlanTimes
from chronolake.query.advice import Proposal, candidates, proposals
from chronolake.query.changes import BY_HAND, SEE_LOG, Changes, made_by_itself, refused
from chronolake.query.explain import Regression, regressions
from chronolake.query.index_advice import IndexProposal, UnusedIndex
from chronolake.query.indexes import IndexOptimizer
from chronolake.query.layout_advice import LayoutProposal
from chronolake.query.layouts import LayoutOptimizer
from chronolake.query.params import read
from chronolake.query.question import Question, named
from chronolake.query.rollup import shaped, wanted
from chronolake.settings import Settings

#: Days of the search history that advice is drawn from: a week has all that is asked by day of the week.
DAYS = 7.0
#: Seconds a day below which nothing is made by itself: a rollup is files, commits and refreshes too.
LEAST_SAVED_S = 1.0
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


@dataclass(frozen=True)
class Tended:
    """Names of the rollups and indexes that were made and dropped by themselves."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """Room on the disk for what the optimizer makes of one kind, and how much of it is taken."""

    kind: str
    budget_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class Advice:
    """All that is proposed, the questions that have become slower, and the room that there is."""

    rollups: tuple[Proposal, ...]
    indexes: tuple[IndexProposal, ...]
    unused: tuple[UnusedIndex, ...]
    slower: tuple[Regression, ...]
    budgets: tuple[Budget, ...]

    @property
    def proposals(self) -> "list[Proposal | IndexProposal | UnusedIndex]":
        """What can be applied."""
        return [*self.rollups, *self.indexes, *self.unused]


class QueryOptimizer:
    """Makes rollups and indexes for questions, of its own accord or another's, and keeps a log.

    For one thread at a time.
    """

    def __init__(self, *, database: Database, lake: Lake | None, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings
        self._changes = Changes(database=database)
        #: those of PostgreSQL
        self.indexes = IndexOptimizer(database=database, changes=self._changes, settings=settings)
        #: of the lake
        self.layouts = LayoutOptimizer(database=database, lake=lake, changes=self._changes, settings=settings)

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
        asked += ", by project" if by_project else ""
        found = wanted(shaped(question.tree, values), values, by_project=by_project)
        if not found:
            raise ParameterInvalid(
                f"no rollup serves {name}: it looks at single captures, not at groups of them",
                hint="docs/rollups.md tells which questions they serve.",
            )
        return [Wanted(rollup, asked) for rollup in found]

    def advise(self, days: float = DAYS) -> list[Proposal]:
        """The rollups that would have saved most time in the last days, within CHRONOLAKE_ROLLUP_BUDGET.

        What counts is what the search history has of questions that were answered from the lake's tables themselves.

        Raises:
            LakeError: the lake cannot be used.
            DatabaseError: the search history cannot be read.
        """
        rollups = self._lake_of_ours().rollups()
        days = min(days, self._settings.history.days) or days
        with self._database.connection() as conn:
            asked = searches.counted(conn, _ago(days))
        sizes = rollups.sizes()
        found = candidates(asked, sizes, rollups.typed)
        estimates = rollups.estimates([candidate.rollup for candidate in found])
        room = self._settings.optimizer.budget_bytes - sum(sizes.values())
        return proposals(found, estimates, days=days, room_bytes=room)

    def advice(self, days: float = DAYS) -> Advice:
        """All that would have saved time in the last days, each kind within its budget, and what has become slower.

        Indexes are tried, which takes seconds.

        Raises:
            LakeError: the lake cannot be used.
            DatabaseError: PostgreSQL cannot be asked.
        """
        optimizer = self._settings.optimizer
        rollups = () if self._lake is None else tuple(self.advise(days))
        budgets = [Budget("index", optimizer.index_budget_bytes, self.indexes.used_bytes())]
        if self._lake is not None:
            used = sum(self._lake.rollups().sizes().values())
            budgets.insert(0, Budget("rollup", optimizer.budget_bytes, used))
        return Advice(
            rollups,
            tuple(self.indexes.advise(min(days, self._settings.history.days) or days)),
            tuple(self.indexes.unused()),
            tuple(self.slower(days)),
            tuple(budgets),
        )

    def plans(self, question: str | None = None, days: float = DAYS) -> list[PlanTimes]:
        """How engines answered of late, newest first: questions of one name, or all.

        Raises:
            QuestionUnknown: there is no such question; `sql` is one here.
            DatabaseError: PostgreSQL cannot be asked.
        """
        if question not in (None, "sql"):
            named(str(question))
        with self._database.connection() as conn:
            return query_plans.listed(conn, datetime.now(UTC) - timedelta(days=days), question)

    def slower(self, days: float = DAYS) -> list[Regression]:
        """The questions that are answered in a new way of late, which is clearly slower.

        How much slower, CHRONOLAKE_PLAN_REGRESSION_RATIO says.

        Raises:
            DatabaseError: PostgreSQL cannot be asked.
        """
        return regressions(self.plans(days=days), self._settings.plans.regression_ratio)

    def apply(self, chosen: Sequence[Proposal], *, automatic: bool = False) -> list[Refreshed]:
        """Make the proposed rollups.

        Raises:
            LakeError: the lake cannot be used or written.
        """
        made = [
            self._make(
                proposal.candidate.rollup,
                asked=proposal.candidate.asked,
                why=proposal.why,
                figures=proposal.figures,
                automatic=automatic,
            )
            for proposal in chosen
        ]
        return [refreshed for refreshed in made if refreshed is not None]

    def carry_out(
        self, proposal: Proposal | IndexProposal | UnusedIndex | LayoutProposal
    ) -> list[dict[str, Any]]:
        """Do what is proposed; what was done, as JSON values.

        Raises:
            LakeError: the lake cannot be used or written.
            DatabaseError: PostgreSQL refused.
        """
        if isinstance(proposal, Proposal):
            return [{"kind": "rollup", "action": "make", **asdict(made)} for made in self.apply([proposal])]
        started = time.perf_counter()
        match proposal:
            case UnusedIndex():
                name = self.indexes.drop(proposal)
            case IndexProposal():
                name = self.indexes.make(proposal)
            case LayoutProposal():
                name = self.layouts.change(proposal)
        seconds = round(time.perf_counter() - started, 3)
        return [{"kind": proposal.kind, "action": proposal.action, "name": name, "seconds": seconds}]

    def make(self, wanted: Sequence[Wanted]) -> list[Refreshed]:
        """Make rollups and compute their cells; those that are there already are left out.

        Raises:
            LakeError: the lake cannot be used or written.
        """
        made = [self._make(want.rollup, asked=want.asked, why=BY_HAND, figures={}) for want in wanted]
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
        self._drop(name, why=BY_HAND)

    def log(self) -> list[Change]:
        """What was made and dropped, newest first."""
        return self._changes.listed()

    def undo(self, change_id: int) -> Change:
        """Take a change back: drop what it made, or make what it dropped; the change.

        Raises:
            ParameterInvalid: there is no such change, or nothing of it to take back.
            LakeError: the lake cannot be used or written.
        """
        change = self._changes.standing(change_id)
        match change.kind:
            case "index":
                self.indexes.undo(change)
            case "layout":
                self.layouts.undo(change)
            case "rollup":
                self._undo_rollup(change)
        self._changes.undone(change)
        return change

    def _undo_rollup(self, change: Change) -> None:
        rollups = self._lake_of_ours().rollups()
        if change.action == "make" and not rollups.drop(change.name):
            raise ParameterInvalid(f"{change.name}, which it made, is gone already", hint=SEE_LOG)
        if change.action == "drop":
            rollups.make(Rollup.of_document(change.definition), asked=change.asked)

    def tend(self) -> Tended | None:
        """Do by itself what is worth it: make what is proposed, drop what it made and nobody reads.

        What a person took back or dropped is not made again, and only what it made itself is dropped. Null where
        another process does it just now.

        Raises:
            LakeError: the lake cannot be used or written.
            DatabaseError: the search history or the log cannot be read.
        """
        with self._database.apart("optimize", autocommit=True) as conn, optimizer_log.alone(conn) as is_alone:
            if not is_alone:
                return None
            made, dropped = ([], []) if self._lake is None else self._tend_rollups()
            more, fewer = self.indexes.tend(DAYS, least_saved_s=LEAST_SAVED_S)
            return Tended((*made, *more), (*dropped, *fewer))

    def _tend_rollups(self) -> tuple[list[str], list[str]]:
        changes = self.log()
        dropped = self._unread(changes)
        for name in dropped:
            self._drop(name, why=f"nobody read it for {self._settings.history.days} days", automatic=True)
        unwanted = {*refused(changes), *dropped}
        worth = [
            proposal
            for proposal in self.advise()
            if proposal.saved_s_per_day >= LEAST_SAVED_S and proposal.name not in unwanted
        ]
        return [made.name for made in self.apply(worth, automatic=True)], dropped

    def _unread(self, changes: Sequence[Change]) -> list[str]:
        """The rollups that it made itself, and that no answer was read from for as long as the history reaches."""
        days = self._settings.history.days
        if not days:
            # Nobody knows.
            return []
        with self._database.connection() as conn:
            read_from = searches.rollups_read(conn, _ago(days))
        there = {state.rollup.name for state in self.rollups()}
        before = datetime.now(UTC) - timedelta(days=days)
        return [
            name
            for name, change in made_by_itself(changes, "rollup").items()
            if change.done_at < before and name in there - read_from
        ]

    def _make(
        self, rollup: Rollup, *, asked: str, why: str, figures: Mapping[str, Any], automatic: bool = False
    ) -> Refreshed | None:
        rollups = self._lake_of_ours().rollups()
        if self._there(rollup.name):
            return None
        with self._noted("make", rollup, asked, why, figures, automatic=automatic):
            return rollups.make(rollup, asked=asked)

    def _drop(self, name: str, *, why: str, automatic: bool = False) -> None:
        rollups = self._lake_of_ours().rollups()
        state = next((state for state in rollups.states() if state.rollup.name == name), None)
        if state is None:
            raise ParameterInvalid(
                f"there is no rollup {name!r}", hint="See which there are: chronolake optimize rollups"
            )
        figures = {"cells": state.cells, "bytes": rollups.sizes().get(name)}
        with self._noted("drop", state.rollup, state.asked, why, figures, automatic=automatic):
            rollups.drop(name)

    def _noted(
        self,
        action: Action,
        rollup: Rollup,
        asked: str,
        why: str,
        figures: Mapping[str, Any],
        *,
        automatic: bool,
    ) -> AbstractContextManager[None]:
        return self._changes.noted(
            "rollup",
            action,
            rollup.name,
            asked=asked,
            why=why,
            definition=rollup.document(),
            figures=figures,
            automatic=automatic,
            # Half made is made: the upkeep of rollups will go on with it, and it can be undone.
            came_to_nothing=lambda: self._there(rollup.name) is (action != "make"),
        )

    def _there(self, name: str) -> bool | None:
        """Whether there is a rollup of that name; null where nobody can tell."""
        try:
            return any(state.rollup.name == name for state in self.rollups())
        except LakeError:
            return None

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


def _ago(days: float) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
