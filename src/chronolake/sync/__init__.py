"""The sync: the lake is kept equal to PostgreSQL by its stream of changes, exactly once and in commit order."""

from chronolake.sync.worker import SyncWorker

__all__ = ["SyncWorker"]
