"""Captures in: read, normalise, store and stage in one transaction, carry to the lake."""

from chronolake.ingest.collector import Again, Collector, SessionReport
from chronolake.ingest.desk import CollectDesk, CollectRequest, Source, archive_document, request_of
from chronolake.ingest.extraction import Extraction, ExtractReport
from chronolake.ingest.following import Follower
from chronolake.ingest.page_run import OVERRIDABLE, ExtractCounts, ExtractRequest
from chronolake.ingest.pipeline import (
    Counts,
    IngestReport,
    IngestRequest,
    ParquetPipeline,
    Progress,
)

__all__ = [
    "OVERRIDABLE",
    "Again",
    "CollectDesk",
    "CollectRequest",
    "Collector",
    "Counts",
    "ExtractCounts",
    "ExtractReport",
    "ExtractRequest",
    "Extraction",
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
