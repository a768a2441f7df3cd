"""Indexes of PostgreSQL for what it is asked: proposed after a trial, made, dropped, and taken back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from chronolake.errors import DatabaseError, ParameterInvalid
from chronolake.oltp import Database, index_trials, indexes, projects, query_plans, searches
from chronolake.oltp.index_trials import Statement, Trial
from chronolake.oltp.indexes import IndexState
from chronolake.oltp.optimizer_log import Change
from chronolake.oltp.searches import Counted
from chronolake.query.changes import SEE_LOG, Changes, made_by_itself, refused
from chronolake.query.explain.step import Step
from chronolake.query.index_advice import (
    MOST_TRIED,
    IndexCandidate,
    IndexProposal,
    UnusedIndex,
    candidates,
    of_plan,
    of_question,
    proposals,
)
from chronolake.query.question import Question
from chronolake.query.recalled import read_back
from chronolake.query.route import Engine
from chronolake.query.scope import Scope
from chronolake.query.text import bound, written
from chronolake.query.wording import asked_in_words
from chronolake.settings import Settings

#: Statements that an index is tried with, those that took longest.
MOST_STATEMENTS = 5


class _Asked:
    """A question that PostgreSQL answered, ready to be asked again."""

    def __init__(self, question: Question, values: dict[str, Any], counted: Counted, scope: Scope) -> None:
        self.question = question
        self.values = values
        self.counted = counted
        self.by_project = scope.project_ids is not None
        self.words = asked_in_words(question, values, counted.project_count)
        self.statement = Statement(
            written(question, Engine.POSTGRES, scoped=self.by_project), bound(values, scope), counted.seconds
        )


class IndexOptimizer:
    """Makes and drops indexes of its own beside those of the schema. For one thread at a time."""

    def __init__(self, *, database: Database, changes: Changes, settings: Settings) -> None:
        self._database = database
        self._changes = changes
        self._settings = settings

    def used_bytes(self) -> int:
        """What the indexes that it made take."""
        return sum(state.bytes for state in self.states() if state.is_ours)

    def states(self) -> list[IndexState]:
        """Every index of our tables, those of the schema too."""
        with self._database.connection() as conn:
            return indexes.listed(conn)

    def advise(self, days: float, *, without: Sequence[str] = ()) -> list[IndexProposal]:
        """The indexes that would have saved most of PostgreSQL's time of late, within CHRONOLAKE_INDEX_BUDGET.

        What counts is what the search history has of questions that PostgreSQL answered of its own. Each index is
        tried, which takes seconds. Names in `without` are left out.

        Raises:
            DatabaseError: PostgreSQL cannot be asked.
        """
        since = datetime.now(UTC) - timedelta(days=days)
        with self._database.connection() as conn:
            asked = self._asked(conn, since)
            there = indexes.listed(conn)
            plans = query_plans.listed(conn, since)
        by_name = {each.question.name for each in asked}
        found = [
            (planned.planned.question, *wanted)
            for planned in plans
            if planned.planned.engine == Engine.POSTGRES and planned.planned.question in by_name
            for wanted in of_plan(Step.of_document(planned.planned.steps))
        ]
        found += [
            (each.question.name, *wanted)
            for each in asked
            for wanted in of_question(each.question, each.values, by_project=each.by_project)
        ]
        wanted = candidates(found, there, without)
        room = self._settings.optimizer.index_budget_bytes - sum(
            state.bytes for state in there if state.is_ours
        )
        return proposals(self._tried(wanted, asked, days), room_bytes=room)

    def unused(self) -> list[UnusedIndex]:
        """Of the indexes that it made, those that PostgreSQL did not use for as long as the history reaches."""
        days = self._settings.history.days
        made = {
            change.name: change.done_at
            for change in reversed(self._changes.listed())
            if change.kind == "index"
        }
        before = datetime.now(UTC) - timedelta(days=days)
        found = []
        for state in self.states():
            if not state.is_ours or state.being_built:
                continue
            last = max(
                (at for at in (state.last_scan_at, state.counted_since, made.get(state.name)) if at),
                default=None,
            )
            if not state.valid or (days and last is not None and last < before):
                found.append(UnusedIndex(state, days))
        return found

    def make(self, proposal: IndexProposal, *, automatic: bool = False) -> str:
        """Make a proposed index beside all other work; its name.

        Raises:
            DatabaseError: it could not be made; what was begun of it is gone, or the message says what is left.
        """
        candidate = proposal.candidate
        self._clear(proposal.name)
        definition = {"table": candidate.table, "columns": list(candidate.columns)}
        with self._changes.noted(
            "index",
            "make",
            proposal.name,
            asked=proposal.asked,
            why=proposal.why,
            definition=definition,
            figures=proposal.figures,
            automatic=automatic,
            came_to_nothing=lambda: not self._is_there(proposal.name),
        ):
            self._make(candidate.table, candidate.columns)
        return proposal.name

    def drop(self, unused: UnusedIndex, *, automatic: bool = False) -> str:
        """Drop an index that it made, beside all other work; its name.

        Raises:
            DatabaseError: PostgreSQL refused.
        """
        state = unused.state
        with self._changes.noted(
            "index",
            "drop",
            state.name,
            asked="",
            why=unused.why,
            definition={"table": state.table, "columns": list(state.columns)},
            figures=unused.figures,
            automatic=automatic,
            came_to_nothing=lambda: self._is_there(state.name),
        ):
            self._drop(state.name)
        return state.name

    def undo(self, change: Change) -> None:
        """Take a change back: drop what it made, or make what it dropped.

        Raises:
            ParameterInvalid: what it made is gone.
            DatabaseError: PostgreSQL refused.
        """
        if change.action == "drop":
            self._make(change.definition["table"], change.definition["columns"])
        elif self._is_there(change.name):
            self._drop(change.name)
        else:
            raise ParameterInvalid(f"{change.name}, which it made, is gone already", hint=SEE_LOG)

    def tend(self, days: float, *, least_saved_s: float) -> tuple[list[str], list[str]]:
        """Make what is worth it, drop what it made itself and PostgreSQL does not use; the names of both."""
        changes = self._changes.listed()
        ours = made_by_itself(changes, "index")
        gone = [
            self.drop(found, automatic=True)
            for found in self.unused()
            if found.name in ours or not found.state.valid
        ]
        worth = [
            proposal
            for proposal in self.advise(days, without=[*refused(changes), *gone])
            if proposal.saved_s_per_day >= least_saved_s
        ]
        return [self.make(proposal, automatic=True) for proposal in worth], gone

    def _asked(self, conn: Connection, since: datetime) -> list[_Asked]:
        some = sorted(projects.ids(conn, 2))
        scopes = {
            None: Scope.everything(),
            0: Scope(frozenset()),
            1: Scope(frozenset(some[:1])),
            2: Scope(frozenset(some)),
        }
        found = []
        for counted in searches.counted_of_postgres(conn, since.replace(tzinfo=None)):
            question, values = read_back(counted)
            if question is not None:
                found.append(_Asked(question, values, counted, scopes[counted.project_count]))
        return found

    def _tried(
        self, wanted: Sequence[IndexCandidate], asked: Sequence[_Asked], days: float
    ) -> list[IndexProposal]:
        """What each would gain; those first whose questions took longest, MOST_TRIED of them."""
        served = [
            (candidate, [each for each in asked if each.question.name in candidate.questions])
            for candidate in wanted
        ]
        served.sort(key=lambda pair: -sum(each.counted.seconds for each in pair[1]))
        by_table: dict[str, list[tuple[IndexCandidate, list[_Asked]]]] = {}
        for candidate, of_it in served[:MOST_TRIED]:
            by_table.setdefault(candidate.table, []).append((candidate, of_it))
        found = []
        for table, pairs in by_table.items():
            with self._database.connection() as conn:
                trials = index_trials.tried(
                    conn,
                    table,
                    [
                        (candidate.columns, [each.statement for each in of_it[:MOST_STATEMENTS]])
                        for candidate, of_it in pairs
                    ],
                )
            found += [
                _proposal(candidate, of_it, trial, days)
                for (candidate, of_it), trial in zip(pairs, trials, strict=True)
                if trial is not None
            ]
        return found

    def _is_there(self, name: str) -> bool:
        return any(state.name == name for state in self.states())

    def _make(self, table: str, columns: Sequence[str]) -> None:
        self._clear(indexes.name_of(table, columns))
        with self._database.apart("optimize", autocommit=True) as conn:
            indexes.make(conn, table, columns)

    def _clear(self, name: str) -> None:
        """Drop what a process that was killed left of the same index."""
        left = next((state for state in self.states() if state.name == name), None)
        if left is not None and left.valid:
            raise ParameterInvalid(f"{name} is there already", hint=SEE_LOG)
        if left is not None and left.being_built:
            raise DatabaseError(f"another process is making {name}")
        if left is not None:
            self._drop(name)

    def _drop(self, name: str) -> None:
        with self._database.apart("optimize", autocommit=True) as conn:
            indexes.drop(conn, name)


def _proposal(candidate: IndexCandidate, asked: Sequence[_Asked], trial: Trial, days: float) -> IndexProposal:
    seconds = sum(each.counted.seconds for each in asked)
    return IndexProposal(
        candidate,
        trial,
        asked[0].words,
        sum(each.counted.times for each in asked),
        seconds,
        seconds * trial.gain / days,
    )
