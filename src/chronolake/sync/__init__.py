"""The sync: the lake is kept equal to PostgreSQL by its stream of changes, exactly once and in commit order."""

from chronolake.oltp.sync_tables import TableStatus
from chronolake.sync.service import DataSyncService, SyncStatus
from chronolake.sync.tables import TableState
from chronolake.sync.worker import SyncWorker

__all__ = ["DataSyncService", "SyncStatus", "SyncWorker", "TableState", "TableStatus"]
