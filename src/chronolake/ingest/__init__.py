"""Captures in: read, normalise, store and stage in one transaction, carry to the lake."""

from chronolake.ingest.collector import Collector, CollectRequest, SessionReport
from chronolake.ingest.pipeline import (
    Counts,
    Follower,
    IngestReport,
    IngestRequest,
    ParquetPipeline,
    Progress,
)

__all__ = [
    "CollectRequest",
    "Collector",
    "Counts",
    "Follower",
    "IngestReport",
    "IngestRequest",
    "ParquetPipeline",
    "Progress",
    "SessionReport",
]
