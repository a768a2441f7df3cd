"""Captures in: read, normalise, store and stage in one transaction, carry to the lake."""

from chronolake.ingest.collector import Again, Collector, SessionReport
from chronolake.ingest.desk import CollectDesk, CollectRequest, Source, archive_document, request_of
from chronolake.ingest.pipeline import (
    Counts,
    Follower,
    IngestReport,
    IngestRequest,
    ParquetPipeline,
    Progress,
)

__all__ = [
    "Again",
    "CollectDesk",
    "CollectRequest",
    "Collector",
    "Counts",
    "Follower",
    "IngestReport",
    "IngestRequest",
    "ParquetPipeline",
    "Progress",
    "SessionReport",
    "Source",
    "archive_document",
    "request_of",
]
