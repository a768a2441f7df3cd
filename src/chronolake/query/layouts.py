"""How the lake lies, tried against other ways with what was asked of late; changed, and taken back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from chronolake.capture.columns import CDX_RECORDS, Table
from chronolake.errors import LakeUnavailable, ParameterInvalid
from chronolake.lake import LaidOut, Lake, LayoutTrials, interrupting
from chronolake.oltp import Database, projects, searches
from chronolake.oltp.optimizer_log import Change
from chronolake.query.changes import SEE_LOG, Changes
from chronolake.query.layout_advice import LayoutProposal, Measured, proposed, ways
from chronolake.query.recalled import read_back
from chronolake.query.scanned import Scanned, of_question
from chronolake.query.scope import Scope
from chronolake.query.text import bound
from chronolake.settings import Layout, Settings

#: Questions that are run, those whose answers took longest in all.
MOST_QUESTIONS = 8
#: Runs of each in each way, one way after the other, so that whatever else goes on slows all alike.
ROUNDS = 5
#: Seconds after which no further round is begun; one is always done.
MOST_S = 60.0


@dataclass(frozen=True)
class LayoutAdvice:
    """What was measured in each way, how the lake lies now first, and the one that is clearly better, if one is.

    `questions` were run over `rows`, which are all that the table has where `whole`.
    """

    table: str
    questions: int
    rows: int
    whole: bool
    measured: tuple[Measured, ...]
    proposal: LayoutProposal | None

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "table": self.table,
            "questions": self.questions,
            "rows": self.rows,
            "whole": self.whole,
            "measured": [
                {
                    "way": each.way.in_words,
                    "asked_ms": round(each.asked_ms, 3),
                    "files": each.files,
                    "bytes": each.bytes,
                }
                for each in self.measured
            ],
        }


@dataclass(frozen=True)
class _Asked:
    """A question that reads the table alone: its statement, values, and how often it was asked."""

    statement: Scanned
    values: Mapping[str, Any]
    times: int


class LayoutOptimizer:
    """Measures layouts of the captures' table, and changes it. For one thread at a time."""

    def __init__(
        self, *, database: Database, lake: Lake | None, changes: Changes, settings: Settings
    ) -> None:
        self._database = database
        self._lake = lake
        self._changes = changes
        self._settings = settings

    def advise(self, days: float) -> LayoutAdvice:
        """Lay a part of the captures down in several ways, and run in each what was asked most of late.

        It takes seconds to minutes, and changes nothing.

        Raises:
            LakeError: the lake cannot be used.
            DatabaseError: the search history cannot be read.
        """
        lake, table = self._lake_of_ours(), CDX_RECORDS
        asked = self._asked(table, days)
        if not asked:
            return LayoutAdvice(table.name, 0, 0, whole=False, measured=(), proposal=None)
        trials = lake.layout_trials()
        needed = {column for each in asked for read in each.statement.reads for column in read.columns}
        ordered = {*table.sort, str(table.bucket_by), str(table.time), "url_key"}
        columns = [column.name for column in table.columns if column.name in needed | ordered]
        sample = trials.sample(table, columns, _domains(asked))
        if not sample.rows.num_rows:
            return LayoutAdvice(table.name, len(asked), 0, whole=True, measured=(), proposal=None)
        with trials.within() as folder:
            laid = [
                trials.lay_out(sample, way, folder / str(number))
                for number, way in enumerate(ways(sample.now, table, whole=sample.whole))
            ]
            measured = self._measured(lake, trials, laid, asked)
        found = proposed(
            table,
            measured,
            ratio=self._settings.optimizer.layout_ratio,
            rows=sample.rows.num_rows,
            table_rows=sample.table_rows,
            table_bytes=sample.table_bytes,
        )
        return LayoutAdvice(
            table.name, len(asked), sample.rows.num_rows, sample.whole, tuple(measured), found
        )

    def change(self, proposal: LayoutProposal) -> str:
        """Let the lake lie as proposed from now on; the name of the change. Compaction deals old files out anew.

        Raises:
            ParameterInvalid: no command can: the hint says what does.
            LakeError: the lake cannot be written.
        """
        if not proposal.is_applicable:
            raise ParameterInvalid(f"{proposal.name} is not changed by a command", hint=proposal.how)
        before, after = proposal.now.way.layout, proposal.better.way.layout
        with self._changes.noted(
            "layout",
            "change",
            proposal.name,
            asked="",
            why=proposal.why,
            definition={"table": proposal.table.name, "before": str(before), "after": str(after)},
            figures=proposal.figures,
            automatic=False,
            came_to_nothing=lambda: self._lake_of_ours().layout(proposal.table) is before,
        ):
            self._lake_of_ours().relay(proposal.table, after)
        return proposal.name

    def undo(self, change: Change) -> None:
        """Let the lake lie as it did before.

        Raises:
            ParameterInvalid: it lies otherwise by now.
            LakeError: the lake cannot be written.
        """
        lake, told = self._lake_of_ours(), change.definition
        if lake.layout(CDX_RECORDS) is not Layout(told["after"]):
            raise ParameterInvalid(f"{told['table']} lies otherwise by now", hint=SEE_LOG)
        lake.relay(CDX_RECORDS, Layout(told["before"]))

    def _asked(self, table: Table, days: float) -> list[_Asked]:
        since = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
        with self._database.connection() as conn:
            counted = searches.counted(conn, since)
            some = projects.ids(conn, 2)
        scopes = {None: Scope.everything(), 1: Scope(frozenset(some[:1])), 2: Scope(frozenset(some))}
        found = []
        for each in counted:
            question, values = read_back(each)
            scope = scopes.get(each.project_count)
            if question is None or scope is None:
                continue
            statement = of_question(question, scoped=scope.project_ids is not None)
            if {read.table for read in statement.reads} == {table.name}:
                found.append(_Asked(statement, bound(values, scope), each.times))
        return found[:MOST_QUESTIONS]

    def _measured(
        self, lake: Lake, trials: LayoutTrials, laid: Sequence[LaidOut], asked: Sequence[_Asked]
    ) -> list[Measured]:
        took: dict[tuple[int, int], list[float]] = {}
        deadline = time.monotonic() + MOST_S
        for number in range(ROUNDS + 1):
            if number > 1 and time.monotonic() > deadline:
                break
            for which, each in enumerate(asked):
                for place, one in enumerate(laid):
                    ms = self._ran_ms(lake, trials, one, each)
                    # The first round reads footers that later ones know.
                    if number:
                        took.setdefault((place, which), []).append(ms)
        times = sum(each.times for each in asked)
        return [
            Measured(
                one.way,
                sum(median(took[place, which]) * each.times for which, each in enumerate(asked)) / times,
                one.bytes,
                len(one.files),
                one.seconds,
            )
            for place, one in enumerate(laid)
        ]

    def _ran_ms(self, lake: Lake, trials: LayoutTrials, laid: LaidOut, asked: _Asked) -> float:
        relations = []
        for read in asked.statement.reads:
            value = asked.values.get(read.pinned) if read.pinned else None
            bucketed = value is not None and laid.way.is_bucketed
            bucket = trials.bucket(str(value), laid.way.buckets) if bucketed else None
            relations.append(laid.relation(read.columns, bucket))
        text = asked.statement.over(relations)
        with (
            lake.errors_translated(),
            lake.file_cursor() as cursor,
            interrupting(cursor, self._settings.query.timeout_s),
        ):
            started = time.perf_counter()
            cursor.execute(text, dict(asked.values)).fetchall()
            return (time.perf_counter() - started) * 1000

    def _lake_of_ours(self) -> Lake:
        if self._lake is None:
            raise LakeUnavailable("there is no lake to lay down")
        return self._lake


def _domains(asked: Sequence[_Asked]) -> list[str]:
    """The domains that were asked about, those first whose questions took longest."""
    found = [
        str(each.values[read.pinned])
        for each in asked
        for read in each.statement.reads
        if read.pinned is not None and each.values.get(read.pinned) is not None
    ]
    return list(dict.fromkeys(found))
