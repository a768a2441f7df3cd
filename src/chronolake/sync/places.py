"""Up to where in the stream the lake may be ahead of it, table by table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chronolake.oltp.backfills import CopyFacts
from chronolake.sync.tables import TableState


@dataclass
class Places:
    """What a term knows of the tables: of changes before `careful_lsn` the lake may hold the outcome, or a later one.

    Which changes a table's copy has for sure, its relation's note says.
    """

    careful_lsn: dict[str, int] = field(default_factory=dict)
    #: tables that are to be called streaming once the checkpoint has come past `careful_lsn`
    catching_up: set[str] = field(default_factory=set)

    def is_careful(self, table: str, lsn: int) -> bool:
        """Whether the lake may hold what a change at `lsn` leaves."""
        return lsn < self.careful_lsn.get(table, 0)

    def be_careful(self, table: str, lsn: int) -> None:
        """The lake may hold rows that the stream brings until `lsn`."""
        self.careful_lsn[table] = max(lsn, self.careful_lsn.get(table, 0))


def places_of(copies: Mapping[str, CopyFacts], restaged: Mapping[str, int]) -> Places:
    """What the notes of the copies say, and the lake's of rows that were read anew."""
    places = Places(dict(restaged))
    for name, facts in copies.items():
        places.be_careful(name, facts.careful_lsn or 0)
        if facts.state == TableState.CATCHING_UP:
            places.catching_up.add(name)
    return places
