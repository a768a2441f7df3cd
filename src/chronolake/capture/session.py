"""What state a scrape session is in, who says so, and what comes next. Pure.

The words stand in PostgreSQL and the lake, so they never change.
"""

from enum import StrEnum

from chronolake.errors import SessionEnded


class SessionState(StrEnum):
    """Where a session is. Every state is stored and survives a restart."""

    WAITING = "waiting"  #: begun by nobody yet, or stopped: whoever takes it goes on where it stands
    RUNNING = (
        "running"  #: set by the run that has it; stays where its process dies, until another takes it up
    )
    PAUSED = "paused"  #: set by a person; no run takes it until a person resumes it
    DONE = "done"  #: the archive has no further page
    FAILED = "failed"  #: a run ended in an error; asked for again, it goes on where it stood
    CANCELLED = "cancelled"  #: set by a person; for good


class SessionEvent(StrEnum):
    """What happens to a session."""

    BEGUN = "begun"  #: a run takes it up
    ENDED = "ended"  #: its last page is stored
    STOPPED = "stopped"  #: its run was asked to end early, or is tried again later
    FAILED = "failed"  #: its run ended in an error
    PAUSED = "paused"  #: a person wants it left alone for a while
    RESUMED = "resumed"  #: a person wants it to go on
    CANCELLED = "cancelled"  #: a person wants it left alone for good


class Wanted(StrEnum):
    """What people want of a session; a run looks at it now and then, and ends itself where it is not `RUN`."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


_OPEN = (SessionState.WAITING, SessionState.RUNNING, SessionState.PAUSED, SessionState.FAILED)
_NEXT: dict[tuple[SessionState, SessionEvent], SessionState] = {
    **{(state, SessionEvent.BEGUN): SessionState.RUNNING for state in _OPEN if state != SessionState.PAUSED},
    **{(state, SessionEvent.ENDED): SessionState.DONE for state in (*_OPEN, SessionState.DONE)},
    **{(state, SessionEvent.PAUSED): SessionState.PAUSED for state in _OPEN},
    **{(state, SessionEvent.RESUMED): SessionState.WAITING for state in _OPEN},
    **{(state, SessionEvent.CANCELLED): SessionState.CANCELLED for state in (*_OPEN, SessionState.CANCELLED)},
    (SessionState.RUNNING, SessionEvent.STOPPED): SessionState.WAITING,
    (SessionState.RUNNING, SessionEvent.FAILED): SessionState.FAILED,
    # A run that ends after a person has paused or cancelled it changes nothing of that.
    (SessionState.PAUSED, SessionEvent.STOPPED): SessionState.PAUSED,
    (SessionState.PAUSED, SessionEvent.FAILED): SessionState.PAUSED,
    (SessionState.CANCELLED, SessionEvent.STOPPED): SessionState.CANCELLED,
    (SessionState.CANCELLED, SessionEvent.FAILED): SessionState.CANCELLED,
}
#: What a person's event makes people want of the session.
WANTS = {
    SessionEvent.PAUSED: Wanted.PAUSE,
    SessionEvent.RESUMED: Wanted.RUN,
    SessionEvent.CANCELLED: Wanted.CANCEL,
}
#: How a run ends that was stopped because people want it so.
STOPPED_BY = {Wanted.PAUSE: SessionEvent.PAUSED, Wanted.CANCEL: SessionEvent.CANCELLED}


def next_state(state: SessionState, event: SessionEvent) -> SessionState:
    """The state after `event`.

    Raises:
        SessionEnded: nothing of that kind can happen to a session in this state.
    """
    try:
        return _NEXT[state, event]
    except KeyError:
        hint = "Resume it first: chronolake sessions resume" if state is SessionState.PAUSED else None
        raise SessionEnded(f"a session that is {state} cannot be {event}", hint=hint) from None


def is_held(state: SessionState) -> bool:
    """Whether nobody but a person may have the session run."""
    return state in {SessionState.PAUSED, SessionState.CANCELLED}
