"""What state a synced table is in, who says so, and what comes next. Pure."""

from enum import StrEnum


class TableState(StrEnum):
    """Where a table is; every state is stored in `sync_tables` and survives a restart.

    In each of them readers see what the lake had: a copy shows only when it is whole.
    """

    COPYING = "copying"  #: set by a new epoch, by `sync backfill`, and by the worker for a table it knows nothing of
    CATCHING_UP = "catching_up"  #: set in the lake commit that takes in a copy made from several snapshots
    STREAMING = "streaming"  #: set in the lake commit that takes in a copy made from one, and once caught up
    #: set by the worker where a copy fails and trying again is no help, and where the lake cannot have a table's shape;
    #: changes are passed over
    PARKED = "parked"


class TableEvent(StrEnum):
    """What happens to a table."""

    ASKED = "asked"  #: somebody wants it copied, or there is no copy of it
    TAKEN_IN = "taken_in"  #: the lake holds the copy, whose ranges are of one snapshot
    TAKEN_IN_PIECES = "taken_in_pieces"  #: the lake holds the copy, whose ranges are of several
    CAUGHT_UP = "caught_up"  #: the stream has come past the newest of them
    FAILED = "failed"  #: it cannot be copied until a person does something


_NEXT: dict[tuple[TableState | None, TableEvent], TableState] = {
    **{(state, TableEvent.ASKED): TableState.COPYING for state in (None, *TableState)},
    **{(state, TableEvent.FAILED): TableState.PARKED for state in (None, *TableState)},
    (TableState.COPYING, TableEvent.TAKEN_IN): TableState.STREAMING,
    (TableState.COPYING, TableEvent.TAKEN_IN_PIECES): TableState.CATCHING_UP,
    (TableState.CATCHING_UP, TableEvent.CAUGHT_UP): TableState.STREAMING,
    # A worker that dies after the stream has come past it, and before that is noted, is told so again.
    (TableState.STREAMING, TableEvent.CAUGHT_UP): TableState.STREAMING,
}


def next_state(state: TableState | None, event: TableEvent) -> TableState:
    """The state after `event`; None is a table that nobody has noted anything of.

    Raises:
        ValueError: that cannot happen to a table in this state.
    """
    try:
        return _NEXT[state, event]
    except KeyError:
        raise ValueError(f"a table that is {state or 'unknown'} cannot be {event}") from None
