"""What extraction gives, as rows of the tables that keep it. Pure: PostgreSQL and the lake get the same values.

Texts lose what no text of PostgreSQL holds: NUL, and halves of surrogate pairs, become U+FFFD.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from psycopg.types.json import Jsonb

from chronolake.capture.candidate import Candidate
from chronolake.capture.columns import CONTENT_ANALYTICS
from chronolake.extract import ExtractedPage, Failure

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Extracted:
    """A page or a failure of a capture, and when it was extracted: UTC, without a zone."""

    candidate: Candidate
    result: ExtractedPage | Failure
    at: datetime
    truncated: bool = False


@dataclass(frozen=True)
class Decision:
    """A capture that becomes no page, and why; `overridden`: it becomes one in spite of that."""

    candidate: Candidate
    reason: str
    detail: str
    at: datetime
    overridden: bool = False


def page_row(extracted: Extracted, page: ExtractedPage, batch_id: int) -> dict[str, Any]:
    """The row of `pages`."""
    candidate = extracted.candidate
    return {
        "page_id": candidate.id,
        "project_id": candidate.project_id,
        "batch_id": batch_id,
        "url": candidate.url,
        "domain": candidate.domain,
        "content_hash": page.content_hash,
        "word_count": page.word_count,
        "entity_count": len(page.entities),
        "language": page.language,
        "quality_score": page.quality_score,
        "extraction_method": page.method,
        "extraction_timestamp": extracted.at,
        "date_captured": candidate.timestamp.date(),
        "simhash": page.simhash,
        "mime_detected": storable(page.mime_detected),
        "charset": storable(page.charset),
        "published": page.published,
        "language_confidence": page.language_confidence,
        "link_count": len(page.links),
        "title": storable(page.title),
        "text": storable(page.text),
        "author": storable(page.author),
        "quality_reasons": Jsonb(
            [{"rule": why.rule, "value": why.value, "bound": why.bound} for why in page.quality_reasons]
        ),
        "links": [storable(link) for link in page.links],
        "truncated": extracted.truncated,
        "payload_digest": candidate.digest,
    }


def entity_rows(extracted: Extracted, page: ExtractedPage, batch_id: int) -> list[dict[str, Any]]:
    """The rows of `page_entities`."""
    candidate = extracted.candidate
    return [
        {
            "page_id": candidate.id,
            "project_id": candidate.project_id,
            "batch_id": batch_id,
            "domain": candidate.domain,
            "kind": entity.kind.value,
            "value": storable(entity.value),
            "canonical": storable(entity.canonical),
            "count": entity.count,
            "position": entity.position,
            "confidence": entity.confidence,
            "extractor": entity.extractor,
            "extraction_timestamp": extracted.at,
            "date_captured": candidate.timestamp.date(),
        }
        for entity in page.entities
    ]


def failure_row(extracted: Extracted, failure: Failure) -> dict[str, Any]:
    """The row of `page_failures`."""
    return {
        "capture_id": extracted.candidate.id,
        "project_id": extracted.candidate.project_id,
        "kind": failure.kind.value,
        "detail": storable(failure.detail),
        "failed_at": extracted.at,
    }


def decision_row(decision: Decision) -> dict[str, Any]:
    """The row of `extraction_decisions`."""
    return {
        "capture_id": decision.candidate.id,
        "project_id": decision.candidate.project_id,
        "reason": decision.reason,
        "detail": storable(decision.detail),
        "decided_at": decision.at,
        "overridden": decision.overridden,
    }


def lake_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of `pages` as the lake has them, in its order."""
    schema = CONTENT_ANALYTICS.arrow_schema
    columns = [
        pa.array([row["page_id"].bytes for row in rows], pa.binary(16)).cast(field.type)
        if field.type == pa.uuid()
        else pa.array([row[field.name] for row in rows], field.type)
        for field in schema
    ]
    order = [(name, "ascending") for name in CONTENT_ANALYTICS.sort]
    return pa.Table.from_arrays(columns, schema=schema).sort_by(order)


def storable(text: str | None) -> str | None:
    """The text as PostgreSQL can hold it."""
    return None if text is None else _NO_TEXT.sub("\ufffd", text)
