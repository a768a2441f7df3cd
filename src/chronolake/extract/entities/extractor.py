"""Whoever finds entities, behind one face, and the choice by the settings."""

from typing import Protocol

from chronolake.extract.entities.mention import Setting
from chronolake.extract.entities.rules import Rules
from chronolake.extract.page import FoundEntity
from chronolake.settings import EntityFinder, ExtractSettings


class EntityExtractor(Protocol):
    """Finds what a text speaks of."""

    @property
    def name(self) -> str:
        """What it is, with its version: entities of two versions are told apart by it."""
        ...

    def find(self, text: str, setting: Setting) -> tuple[FoundEntity, ...]:
        """The entities of the text, each once, in the order in which it names them."""
        ...


def extractor_of(settings: ExtractSettings) -> EntityExtractor | None:
    """The one that the settings ask for; null for none.

    Raises:
        ExtractorMissing: it needs a library or a model that is not installed.
    """
    if settings.entities is EntityFinder.NONE:
        return None
    if settings.entities is EntityFinder.SPACY:
        # Only who asks for it needs the extra.
        from chronolake.extract.entities.spacy_model import SpacyModel  # noqa: PLC0415

        return SpacyModel(settings.spacy_model)
    return Rules()
