"""The lake: DuckLake tables of Parquet files, catalog in PostgreSQL, read and written by DuckDB."""

from chronolake.lake.catalog import Checkpoint, LakeInfo, TableInfo
from chronolake.lake.changes import Applied, TableChanges
from chronolake.lake.commit import StreamCheckpoint
from chronolake.lake.copies import TableCopy
from chronolake.lake.deadline import interrupting
from chronolake.lake.lake import Lake
from chronolake.lake.staging import StagedBatch, StagedFile, stage, verify

__all__ = [
    "Applied",
    "Checkpoint",
    "Lake",
    "LakeInfo",
    "StagedBatch",
    "StagedFile",
    "StreamCheckpoint",
    "TableChanges",
    "TableCopy",
    "TableInfo",
    "interrupting",
    "stage",
    "verify",
]
