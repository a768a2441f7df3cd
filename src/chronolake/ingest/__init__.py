"""Captures in: read, normalise, store and stage in one transaction, carry to the lake."""

from chronolake.ingest.carrier import LedgerCarrier
from chronolake.ingest.committer import Carried, Committer
from chronolake.ingest.pipeline import Counts, IngestReport, IngestRequest, ParquetPipeline, Progress

__all__ = [
    "Carried",
    "Committer",
    "Counts",
    "IngestReport",
    "IngestRequest",
    "LedgerCarrier",
    "ParquetPipeline",
    "Progress",
]
