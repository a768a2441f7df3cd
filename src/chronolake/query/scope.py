"""The scope: which projects a question may look at. There is no question without one."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Scope:
    """The projects that may be looked at. None is all of them, and has to be said: `Scope.everything()`."""

    project_ids: frozenset[int] | None

    @classmethod
    def everything(cls) -> Self:
        """Every project there is."""
        return cls(project_ids=None)

    def narrowed(self, project_ids: Collection[int]) -> "Scope":
        """This scope, less every project that is not among `project_ids`."""
        given = frozenset(project_ids)
        return Scope(given if self.project_ids is None else self.project_ids & given)
