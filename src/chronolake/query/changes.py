"""What the optimizer changes, noted before it is done, with all that is needed to take it back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from chronolake.errors import ParameterInvalid
from chronolake.oltp import Database, optimizer_log
from chronolake.oltp.optimizer_log import Action, Change, Kind
from chronolake.telemetry import logs

SEE_LOG = "See what was changed: chronolake optimize log"
#: Why, where a person said so.
BY_HAND = "by hand"
_log = logs.get_logger(__name__)


class Changes:
    """The optimizer's log, as those write and read it who change something."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    def listed(self) -> list[Change]:
        """What was changed, newest first."""
        with self._database.connection() as conn:
            return optimizer_log.listed(conn)

    def standing(self, change_id: int) -> Change:
        """The change of that number.

        Raises:
            ParameterInvalid: there is no such change, or it was taken back.
        """
        with self._database.connection() as conn:
            found = optimizer_log.listed(conn, change_id)
        if not found or found[0].undone_at is not None:
            raise ParameterInvalid(
                f"change {change_id} was taken back already" if found else f"there is no change {change_id}",
                hint=SEE_LOG,
            )
        return found[0]

    def undone(self, change: Change) -> None:
        """Note that it was taken back."""
        with self._database.connection() as conn:
            optimizer_log.mark_undone(conn, change.id)

    @contextmanager
    def noted(
        self,
        kind: Kind,
        action: Action,
        name: str,
        *,
        asked: str,
        why: str,
        definition: Mapping[str, Any],
        figures: Mapping[str, Any],
        automatic: bool,
        came_to_nothing: Callable[[], bool],
    ) -> Iterator[None]:
        """A change that the block makes, in the log; the note goes where it fails and `came_to_nothing`."""
        # Noted before: what was done and cannot be undone is worse than a note of what a kill kept from being done.
        with self._database.connection() as conn:
            change_id = optimizer_log.add(
                conn,
                kind=kind,
                action=action,
                automatic=automatic,
                name=name,
                asked=asked,
                why=why,
                definition=definition,
                figures=figures,
            )
        try:
            yield
        except BaseException:
            if came_to_nothing():
                with self._database.connection() as conn:
                    optimizer_log.remove(conn, change_id)
            raise
        _log.info("optimizer.changed", kind=kind, action=action, name=name, why=why, automatic=automatic)


def made_by_itself(changes: Sequence[Change], kind: Kind) -> dict[str, Change]:
    """By name, what was made without anybody's word and nobody has kept from being dropped since."""
    of_kind = [change for change in changes if change.kind == kind]
    newest = {change.name: change for change in reversed(of_kind) if change.undone_at is None}
    kept = {change.name for change in of_kind if change.action == "drop" and change.undone_at}
    return {
        name: change
        for name, change in newest.items()
        if change.automatic and change.action == "make" and name not in kept
    }


def refused(changes: Sequence[Change]) -> set[str]:
    """Names of what a person did not want: took back its making, or dropped it."""
    return {change.name for change in changes if _refused(change)}


def _refused(change: Change) -> bool:
    if change.action == "make":
        return change.undone_at is not None
    return change.action == "drop" and not change.automatic and change.undone_at is None
