"""The lake: DuckLake tables of Parquet files, catalog in PostgreSQL, read and written by DuckDB."""

from chronolake.lake.catalog import Checkpoint, LakeInfo, TableInfo
from chronolake.lake.changes import Applied, TableChanges
from chronolake.lake.compaction import Merged
from chronolake.lake.copies import TableCopy
from chronolake.lake.deadline import interrupting
from chronolake.lake.estimate import Estimate
from chronolake.lake.lake import Lake
from chronolake.lake.layout_trial import LaidOut, LayoutTrials, Sample, Way
from chronolake.lake.maintenance import LakeMaintenance
from chronolake.lake.repairs import Repair, Repaired
from chronolake.lake.resident import RESIDENT
from chronolake.lake.retention import Snapshot
from chronolake.lake.rollup import Rollup, RollupState
from chronolake.lake.rollups import Refreshed, Rollups, rollup_states
from chronolake.lake.scan import Reach, Wanted
from chronolake.lake.staging import StagedBatch, StagedFile, stage, verify
from chronolake.lake.stream_notes import RelationNote, StreamCheckpoint, note_relation, note_restaged
from chronolake.lake.upkeep import RollupUpkeep
from chronolake.lake.whole import WholeFiles

__all__ = [
    "RESIDENT",
    "Applied",
    "Checkpoint",
    "Estimate",
    "LaidOut",
    "Lake",
    "LakeInfo",
    "LakeMaintenance",
    "LayoutTrials",
    "Merged",
    "Reach",
    "Refreshed",
    "RelationNote",
    "Repair",
    "Repaired",
    "Rollup",
    "RollupState",
    "RollupUpkeep",
    "Rollups",
    "Sample",
    "Snapshot",
    "StagedBatch",
    "StagedFile",
    "StreamCheckpoint",
    "TableChanges",
    "TableCopy",
    "TableInfo",
    "Wanted",
    "Way",
    "WholeFiles",
    "interrupting",
    "note_relation",
    "note_restaged",
    "rollup_states",
    "stage",
    "verify",
]
