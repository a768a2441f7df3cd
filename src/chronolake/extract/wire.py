"""What a worker process sends of a payload, as JSON.

JSON and not pickle: a worker has read hostile content, and whoever took one over must not run code in the process
that listens. For the same reason a result does not say of which capture it is; the listener knows whom it asked.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import Any
from uuid import UUID

from chronolake.capture.entity import EntityKind
from chronolake.extract.page import ExtractedPage, Failure, FailureKind, FoundEntity, QualityReason

#: Fields of a page that JSON has a form for as they are.
_PLAIN = tuple(
    field.name
    for field in fields(ExtractedPage)
    if field.name not in {"capture_id", "published", "quality_reasons", "entities", "links"}
)


def encode(result: ExtractedPage | Failure, *, last: bool) -> bytes:
    """The message of one result; `last` says that the worker leaves after it."""
    if isinstance(result, Failure):
        document: dict[str, Any] = {"kind": result.kind.value, "detail": result.detail}
    else:
        document = {name: getattr(result, name) for name in _PLAIN}
        document["published"] = result.published.isoformat() if result.published else None
        document["links"] = result.links
        document["quality_reasons"] = [(r.rule, r.value, r.bound) for r in result.quality_reasons]
        document["entities"] = [
            (e.kind.value, e.value, e.canonical, e.count, e.position, e.confidence, e.extractor)
            for e in result.entities
        ]
    return json.dumps({"last": last, "result": document}, ensure_ascii=False).encode()


def decode(message: bytes, capture_id: UUID) -> tuple[ExtractedPage | Failure, bool]:
    """The result that a message holds, as that of the capture, and whether the worker leaves.

    Raises:
        ValueError: the message is none of `encode`.
    """
    try:
        told = json.loads(message)
        document, last = told["result"], bool(told["last"])
        if "kind" in document:
            return Failure(capture_id, FailureKind(document["kind"]), str(document["detail"])), last
        plain = {name: document[name] for name in _PLAIN}
        published = document["published"]
        page = ExtractedPage(
            capture_id=capture_id,
            published=date.fromisoformat(published) if published else None,
            links=tuple(str(link) for link in document["links"]),
            quality_reasons=tuple(QualityReason(*reason) for reason in document["quality_reasons"]),
            entities=tuple(_entity(values) for values in document["entities"]),
            **plain,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("the message is no result") from error
    return page, last


def _entity(values: Sequence[Any]) -> FoundEntity:
    kind, *others = values
    return FoundEntity(EntityKind(kind), *others)
