"""A place in a text that names something, and how the mentions of one thing become one entity."""

from collections.abc import Iterable
from typing import NamedTuple

from chronolake.capture.entity import EntityKind
from chronolake.extract.page import FoundEntity

#: A page that names more is a directory; the first ones are kept.
MOST_ENTITIES = 1000
#: A longer value is no name of anything.
_MOST_CHARS = 300


class Mention(NamedTuple):
    """Where a text names something: characters `start` to `end`, and the one form for all ways to write it."""

    kind: EntityKind
    start: int
    end: int
    canonical: str | None
    confidence: float | None


class Setting(NamedTuple):
    """What helps to read a text: its language by ISO 639-1, and the host that it comes from; null where unknown."""

    language: str | None
    host: str | None


def merge(text: str, mentions: Iterable[Mention], extractor: str) -> tuple[FoundEntity, ...]:
    """One entity for the mentions of the same thing, in the order in which the text names them first.

    Where two mentions share characters, the one that came first in `mentions` holds.
    """
    taken = bytearray(len(text))
    found: dict[tuple[EntityKind, str], list[Mention]] = {}
    for mention in mentions:
        start, end = mention.start, mention.end
        if not start < end <= start + _MOST_CHARS or taken.find(1, start, end) >= 0:
            continue
        taken[start:end] = b"\1" * (end - start)
        key = mention.canonical or " ".join(text[start:end].split()).casefold()
        found.setdefault((mention.kind, key), []).append(mention)
    entities = []
    for named in found.values():
        first = min(named, key=lambda mention: mention.start)
        sure = [mention.confidence for mention in named if mention.confidence is not None]
        entities.append(
            FoundEntity(
                kind=first.kind,
                value=" ".join(text[first.start : first.end].split()),
                canonical=first.canonical,
                count=len(named),
                position=first.start,
                confidence=max(sure) if sure else None,
                extractor=extractor,
            )
        )
    return tuple(sorted(entities, key=lambda entity: entity.position)[:MOST_ENTITIES])
