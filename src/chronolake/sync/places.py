"""Where in the stream each table is, beside the checkpoint that all of them share. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chronolake.oltp.backfills import CopyFacts
from chronolake.sync.tables import TableState

#: Past every place in a stream.
NEVER = 1 << 64


@dataclass
class Places:
    """What a term knows of the tables; a table that is not named is as the checkpoint says.

    Changes before `from_lsn` are passed over: the copy has them. Of those before `careful_lsn` the lake may hold the
    outcome already, or a later one.
    """

    from_lsn: dict[str, int] = field(default_factory=dict)
    careful_lsn: dict[str, int] = field(default_factory=dict)
    #: tables that are to be called streaming once the checkpoint has come past `careful_lsn`
    catching_up: set[str] = field(default_factory=set)

    def is_passed_over(self, table: str, lsn: int) -> bool:
        """Whether a change that was committed at `lsn` is none for the lake."""
        return lsn < self.from_lsn.get(table, 0)

    def is_careful(self, table: str, lsn: int) -> bool:
        """Whether the lake may hold what a change at `lsn` leaves."""
        return lsn < self.careful_lsn.get(table, 0)

    def be_careful(self, table: str, lsn: int) -> None:
        """The lake may hold rows that the stream brings until `lsn`."""
        self.careful_lsn[table] = max(lsn, self.careful_lsn.get(table, 0))


def places_of(known: Mapping[str, CopyFacts]) -> Places:
    """What the sync's notes say of the tables; the changes of a parked one are passed over."""
    places = Places()
    for name, facts in known.items():
        if facts.state == TableState.PARKED:
            places.from_lsn[name] = NEVER
            continue
        places.from_lsn[name] = facts.from_lsn or 0
        places.careful_lsn[name] = facts.careful_lsn or 0
        if facts.state == TableState.CATCHING_UP:
            places.catching_up.add(name)
    return places
