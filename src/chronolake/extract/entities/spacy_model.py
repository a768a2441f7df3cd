"""Persons, organisations and places by a model of spaCy; everything else by the rules, which know it better."""

from collections.abc import Iterator
from typing import Any

from chronolake.capture.entity import EntityKind
from chronolake.errors import ExtractorMissing
from chronolake.extract.entities.mention import Mention, Setting, merge
from chronolake.extract.entities.rules import Rules
from chronolake.extract.page import FoundEntity

#: What models call these kinds, by the labels of OntoNotes and of WikiNER.
_KINDS = {
    "PERSON": EntityKind.PERSON, "PER": EntityKind.PERSON, "ORG": EntityKind.ORGANISATION,
    "GPE": EntityKind.PLACE, "LOC": EntityKind.PLACE, "FAC": EntityKind.PLACE,
}  # fmt: skip
#: A model takes about a gigabyte for a text of 1 000 000 characters, and a person is named early.
_MOST_CHARS = 100_000


class SpacyModel:
    """Finds entities by a model that is installed beside spaCy, or lies in a folder that `model` names."""

    def __init__(self, model: str) -> None:
        try:
            import spacy  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise ExtractorMissing(
                "spaCy is not installed", hint="Install the extra: chronolake[spacy]"
            ) from error
        try:
            # Only what finds names is run.
            self._model: Any = spacy.load(model, disable=["parser", "lemmatizer", "attribute_ruler"])
        except OSError as error:
            raise ExtractorMissing(
                f"spaCy has no model {model}", hint=f"Install it: python -m spacy download {model}"
            ) from error
        self._rules = Rules()
        self._language: str = self._model.lang
        meta = self._model.meta
        # By its own name, as it is published: where it lies on this machine is nobody's concern.
        self.name = f"spacy {self._language}_{meta.get('name', '')} {meta.get('version', '')}".strip()

    def find(self, text: str, setting: Setting) -> tuple[FoundEntity, ...]:
        """The entities; a text in another language than the model's is read by the rules alone."""
        if setting.language != self._language:
            return self._rules.find(text, setting)
        return merge(text, self._mentions(text, setting), self.name)

    def _mentions(self, text: str, setting: Setting) -> Iterator[Mention]:
        yield from self._rules.mentions(text, setting, names_too=False)
        for entity in self._model(text[:_MOST_CHARS]).ents:
            kind = _KINDS.get(entity.label_)
            if kind is not None:
                yield Mention(kind, entity.start_char, entity.end_char, None, None)
