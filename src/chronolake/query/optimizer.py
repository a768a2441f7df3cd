"""`QueryOptimizer`: what makes questions cheaper, proposed, done and undone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chronolake.errors import LakeError, LakeUnavailable, ParameterInvalid
from chronolake.lake import Lake, Refreshed, Rollup, RollupState
from chronolake.oltp import Database, optimizer_log, searches
from chronolake.oltp.optimizer_log import Action, Change
from chronolake.query.advice import Proposal, candidates, proposals
from chronolake.query.params import read
from chronolake.query.question import Question, named
from chronolake.query.rollup import blocks, derived, shaped
from chronolake.settings import Settings
from chronolake.telemetry import logs

#: Days of the search history that advice is drawn from: a week has all that is asked by day of the week.
DAYS = 7.0
#: Seconds a day below which nothing is made by itself: a rollup is files, commits and refreshes too.
LEAST_SAVED_S = 1.0
#: Why, where a person said so.
BY_HAND = "by hand"
_log = logs.get_logger(__name__)
_SEE_LOG = "See what was changed: chronolake optimize log"
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
    """Names of the rollups that were made and dropped by themselves."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]


class QueryOptimizer:
    """Makes rollups for questions, of its own accord or another's, and keeps a log. For one thread at a time."""

    def __init__(self, *, database: Database, lake: Lake | None, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings

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
        with self._database.connection() as conn:
            return optimizer_log.listed(conn)

    def undo(self, change_id: int) -> Change:
        """Take a change back: drop what it made, or make what it dropped; the change.

        Raises:
            ParameterInvalid: there is no such change, or nothing of it to take back.
            LakeError: the lake cannot be used or written.
        """
        with self._database.connection() as conn:
            found = optimizer_log.listed(conn, change_id)
        if not found or found[0].undone_at is not None:
            raise ParameterInvalid(
                f"change {change_id} was taken back already" if found else f"there is no change {change_id}",
                hint=_SEE_LOG,
            )
        change, rollups = found[0], self._lake_of_ours().rollups()
        if change.action == "make" and not rollups.drop(change.rollup):
            raise ParameterInvalid(f"{change.rollup}, which it made, is gone already", hint=_SEE_LOG)
        if change.action == "drop":
            rollups.make(Rollup.of_document(change.definition), asked=change.asked)
        with self._database.connection() as conn:
            optimizer_log.mark_undone(conn, change_id)
        return change

    def tend(self) -> Tended | None:
        """Do by itself what is worth it: make what is proposed, drop what it made and nobody reads.

        What a person took back or dropped is not made again, and only what it made itself is dropped. Null where
        another process does it just now.

        Raises:
            LakeError: the lake cannot be used or written.
            DatabaseError: the search history or the log cannot be read.
        """
        with self._database.connection() as conn:
            if not optimizer_log.alone(conn):
                return None
            changes = self.log()
            dropped = self._unread(changes)
            for name in dropped:
                self._drop(name, why=f"nobody read it for {self._settings.history.days} days", automatic=True)
            refused = {change.rollup for change in changes if _refused(change)}
            worth = [
                proposal
                for proposal in self.advise()
                if proposal.saved_s_per_day >= LEAST_SAVED_S and proposal.name not in {*refused, *dropped}
            ]
            return Tended(tuple(made.name for made in self.apply(worth, automatic=True)), tuple(dropped))

    def _unread(self, changes: Sequence[Change]) -> list[str]:
        """The rollups that it made itself, and that no answer was read from for as long as the history reaches."""
        days = self._settings.history.days
        if not days:
            # Nobody knows.
            return []
        with self._database.connection() as conn:
            read_from = searches.rollups_read(conn, _ago(days))
        there = {state.rollup.name for state in self.rollups()}
        newest = {change.rollup: change for change in reversed(changes) if change.undone_at is None}
        kept = {change.rollup for change in changes if change.action == "drop" and change.undone_at}
        return [
            name
            for name, change in newest.items()
            if change.automatic
            and change.action == "make"
            and change.done_at < datetime.now(UTC) - timedelta(days=days)
            and name in there - read_from - kept
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

    @contextmanager
    def _noted(
        self,
        action: Action,
        rollup: Rollup,
        asked: str,
        why: str,
        figures: Mapping[str, Any],
        *,
        automatic: bool,
    ) -> Iterator[None]:
        """A change that the block makes, in the log."""
        # Noted before: what was done and cannot be undone is worse than a note of what a kill kept from being done.
        with self._database.connection() as conn:
            change_id = optimizer_log.add(
                conn,
                action=action,
                automatic=automatic,
                rollup=rollup.name,
                asked=asked,
                why=why,
                definition=rollup.document(),
                figures=figures,
            )
        try:
            yield
        except BaseException:
            # Half made is made: the upkeep of rollups will go on with it, and it can be undone.
            if self._there(rollup.name) is (action != "make"):
                with self._database.connection() as conn:
                    optimizer_log.remove(conn, change_id)
            raise
        _log.info("optimizer.changed", action=action, rollup=rollup.name, why=why, automatic=automatic)

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


def _refused(change: Change) -> bool:
    """Whether a person did not want that rollup: took back its making, or dropped it."""
    if change.action == "make":
        return change.undone_at is not None
    return not change.automatic and change.undone_at is None


def _ago(days: float) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
