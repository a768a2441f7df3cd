"""A question on its way: what was asked, what was read of it, and what was found out before it is answered."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronolake.query import live as live_rows
from chronolake.query import route, scanned
from chronolake.query.cache import key_of
from chronolake.query.freshness import Demand, Freshness, State
from chronolake.query.live import Live
from chronolake.query.question import Question
from chronolake.query.rollup import Plan
from chronolake.query.route import Route
from chronolake.query.scanned import Scanned
from chronolake.query.scope import Scope
from chronolake.query.text import table_names


@dataclass(frozen=True)
class Asked:
    """A question with its parameters read: values, the scope less what `project` leaves out, and where to go."""

    question: Question
    values: Mapping[str, Any]
    scope: Scope
    chosen: Route
    started: float
    at: datetime | None
    demand: Demand
    #: how fresh the lake was when the cache was asked
    fresh: Freshness | None = None
    #: how to answer from rollups, where they serve
    rolled: Plan | None = None
    #: rows of PostgreSQL that the lake's facts are joined to, as they were when the cache was asked
    live: Live | None = None
    #: whether the answer that was kept is to be renewed before it is too old
    ages: bool = False
    #: whether whoever asked wants the rows as JSON
    as_json: bool = False

    @property
    def chosen_freely(self) -> bool:
        """Whether the router chose: then another road may be taken, and the cache may answer."""
        return self.chosen.code is not route.Reason.ASKED

    def state_of(self, fresh: Freshness) -> State | None:
        """The state of the tables that it reads, in a lake that is so fresh."""
        return fresh.of_tables(table_names(self.question, scoped=self.scope.project_ids is not None))

    @property
    def statement(self) -> Scanned:
        """What the lake is asked."""
        return scanned.of_question(self.question, scoped=self.scope.project_ids is not None)

    @property
    def notes(self) -> list[str]:
        """What whoever reads the lake's answer has to know."""
        return [live_rows.NOTE] if self.live else []

    def key(self, state: State | None) -> str:
        """What the cache calls its answer in that state of its tables."""
        live = self.live.state if self.live else None
        return key_of(self.question, self.values, self.scope, state, live)

    @property
    def can_be_told(self) -> bool:
        """Whether the lake as it is can answer: its state is known, and it is as fresh as is asked for."""
        fresh = self.fresh
        if fresh is None or fresh.as_of_lsn is None or self.state_of(fresh) is None:
            return False
        return self.demand.unmet(fresh) is None

    @property
    def name(self) -> Hashable:
        """Equal for those that one answer serves at the same time."""
        values = tuple(sorted((name, str(value)) for name, value in self.values.items()))
        chosen = self.chosen.engine, self.chosen.code
        live = self.live.state if self.live else None
        return self.question.name, values, self.scope, chosen, self.at, self.demand, live
