"""`DuckDBService`: the plan's own face of the analytics engine, async, over the same parts as every door.

It keeps no store of its own. Records go in by the ingest pipeline, so PostgreSQL has them first and the lake
has them in the same breath; questions go through the router, so they are scoped, fresh and explained.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from chronolake.capture.record import RAW_SCHEMA, RawBatch
from chronolake.errors import ParameterInvalid
from chronolake.ingest import IngestReport, ParquetPipeline
from chronolake.query import Answer, HybridQueryRouter, Scope


class CDXRecord(BaseModel):
    """One capture as a caller hands it in; what it leaves out is unknown, not zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(min_length=1)
    timestamp: datetime = Field(description="The instant of capture; without a zone it is UTC.")
    status_code: int | None = None
    mime_type: str | None = None
    content_length: int | None = Field(default=None, ge=0, description="Bytes.")
    digest: str | None = None
    warc_filename: str | None = None
    warc_record_offset: int | None = Field(default=None, ge=0, description="Bytes.")


class CDXAnalyticsQuery(BaseModel):
    """A question of the catalogue with its parameters and the projects it may look at."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    question: str
    params: Mapping[str, Any] = Field(default_factory=dict)
    scope: Scope


class TimeRange(BaseModel):
    """From and to, both inclusive; null is open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: datetime | None = None
    end: datetime | None = None


class DomainStats(BaseModel):
    """Sums over a domain's captures in a time range."""

    model_config = ConfigDict(frozen=True)

    domain: str
    captures: int
    ok: int
    revisits: int
    bytes: int = Field(description="Sum of content_length.")
    first: datetime | None
    last: datetime | None
    timeline: list[dict[str, Any]] = Field(description="The same by month.")


class DuckDBService:
    """Bulk writes and analytic reads as the plan names them."""

    def __init__(self, *, pipeline: ParquetPipeline, router: HybridQueryRouter) -> None:
        self._pipeline = pipeline
        self._router = router

    async def bulk_insert_cdx_records(
        self, records: Sequence[CDXRecord], *, project: str, archive_source: str = "local"
    ) -> IngestReport:
        """Store `records` in PostgreSQL and the lake; those stored already are duplicates.

        Raises:
            DatabaseError: nothing of the failing batch was stored.
        """
        raw = RawBatch(file="(records)", format="records", table=_raw_table(records))
        return await asyncio.to_thread(self._pipeline.ingest_raw, project, [raw], archive_source)

    async def query_cdx_analytics(self, query: CDXAnalyticsQuery) -> Answer:
        """Answer a question of the catalogue from the engine that the router chooses.

        Raises:
            QueryError: the question is unknown, a parameter is out of bounds, or no engine can answer.
        """
        return await self._router.ask(query.question, dict(query.params), scope=query.scope)

    async def get_domain_statistics(self, domain: str, timerange: TimeRange, *, scope: Scope) -> DomainStats:
        """Sum up one domain's captures, with its timeline by month.

        Raises:
            QueryError: the domain is not one, or no engine can answer.
        """
        if timerange.start and timerange.end and timerange.start > timerange.end:
            raise ParameterInvalid(f"{timerange.start} is after {timerange.end}", hint="Swap start and end.")
        params: dict[str, Any] = {"domain": domain, "interval": "month"}
        if timerange.start:
            params["start"] = timerange.start
        if timerange.end:
            params["end"] = timerange.end
        answer = await self._router.ask("domain_timeline", params, scope=scope)
        rows = answer.rows
        return DomainStats(
            domain=domain,
            captures=sum(row["captures"] for row in rows),
            ok=sum(row["ok"] for row in rows),
            revisits=sum(row["revisits"] for row in rows),
            bytes=sum(row["bytes"] or 0 for row in rows),
            first=min((row["first"] for row in rows), default=None),
            last=max((row["last"] for row in rows), default=None),
            timeline=rows,
        )


def _raw_table(records: Sequence[CDXRecord]) -> pa.Table:
    """Records in the columns that every reader hands to the normaliser."""
    given: dict[str, list[str | None]] = {
        "timestamp": [_digits(record.timestamp) for record in records],
        "url": [record.url for record in records],
        "mime_type": [record.mime_type for record in records],
        "status": [_text(record.status_code) for record in records],
        "digest": [record.digest for record in records],
        "length": [_text(record.content_length) for record in records],
        "offset": [_text(record.warc_record_offset) for record in records],
        "filename": [record.warc_filename for record in records],
    }
    columns = [
        pa.array(range(1, len(records) + 1), pa.int64())
        if column.name == "position"
        else pa.array(given.get(column.name, [None] * len(records)), column.type)
        for column in RAW_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=RAW_SCHEMA)


def _digits(instant: datetime) -> str:
    """The instant as 14 digits, or ISO 8601 where it has a fraction of a second."""
    utc = instant.astimezone(UTC) if instant.tzinfo else instant
    return utc.strftime("%Y%m%d%H%M%S") if not utc.microsecond else utc.replace(tzinfo=None).isoformat() + "Z"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
