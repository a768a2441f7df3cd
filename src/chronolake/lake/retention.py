"""Old snapshots leave the catalog, then the files that none of the others sees, then their bytes.

Each plan of a query copies the catalog's rows of all files up to its snapshot, dead ones too, so what nobody can ask
for any more slows everybody down. `kept` and `unseen` decide and are pure. A file leaves the catalog first and the disk
after a grace, for queries in flight read it still; a kill in between leaves its name in the list of files to remove.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

from chronolake.clock import Clock
from chronolake.lake.commit import Catalog

#: Key of the advisory lock of who expires: "lkex" in ASCII.
RETENTION_LOCK = 0x6C6B6578
#: Every snapshot is kept for so long, for queries in flight may stand on any of them.
ALL_FOR = timedelta(minutes=2)
#: The last snapshot of each minute is kept for so long, then the last of each hour.
MINUTES_FOR = timedelta(hours=1)
#: Files that the catalog does not know are removed once they are so old: a commit that runs may yet name a young one.
ORPHAN_AGE = timedelta(days=1)
#: Files removed in one go, the oldest first: 28 000 took half a minute on a busy disk.
REMOVED_AT_ONCE = 5000
#: Tables of the catalog that speak of data files, by their numbers.
_OF_DATA_FILES = (
    "ducklake_file_column_stats",
    "ducklake_file_variant_stats",
    "ducklake_file_partition_value",
)


@dataclass(frozen=True)
class Snapshot:
    """A state that the lake was in from that time on."""

    snapshot_id: int
    at: datetime


@dataclass(frozen=True)
class Span:
    """A file, and the snapshots that see it: from `begin` to before `end`."""

    file_id: int
    begin: int
    end: int


@dataclass(frozen=True)
class Expired:
    """What left: snapshots, data and delete files from the catalog; files from the disk, orphans among them."""

    snapshots: int
    data_files: int
    delete_files: int
    removed_files: int
    orphans: int

    def document(self) -> dict[str, Any]:
        """The same as a mapping for JSON."""
        return asdict(self)


NOTHING = Expired(0, 0, 0, 0, 0)


def kept(snapshots: Sequence[Snapshot], now: datetime, retention: timedelta) -> set[int]:
    """The snapshots to keep, so that every state of the retention can be asked for, to the minute or the hour.

    All of ALL_FOR, the last of each minute of MINUTES_FOR, the last of each hour of the retention, the one that held
    when the retention began, and always the newest.
    """
    found: dict[object, int] = {}
    for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.snapshot_id):
        age, at = now - snapshot.at, snapshot.at
        key: object
        if age <= ALL_FOR:
            key = snapshot.snapshot_id
        elif age > retention:
            key = "before"
        elif age <= MINUTES_FOR:
            key = at.replace(second=0, microsecond=0)
        else:
            key = (at.date(), at.hour)
        found[key] = snapshot.snapshot_id
    newest = max((snapshot.snapshot_id for snapshot in snapshots), default=None)
    return set(found.values()) | ({newest} if newest is not None else set())


def unseen(snapshots: Collection[int], spans: Iterable[Span]) -> list[int]:
    """The files that none of the snapshots sees."""
    order = sorted(snapshots)
    return [
        span.file_id
        for span in spans
        if (first := bisect_left(order, span.begin)) == len(order) or order[first] >= span.end
    ]


class Retention:
    """Expires snapshots of one lake that lies in a folder."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        lake: Path,
        keys: Path,
        retention: timedelta,
        grace: timedelta,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._lake = lake
        self._keys = keys
        self._retention = retention
        self._grace = grace
        self._clock = clock

    def expire(self) -> Expired:
        """Let go of what the retention does not cover, and remove files whose grace has passed.

        Where another process is at it, nothing is done.

        Raises:
            LakeUnavailable: the catalog was lost.
        """
        with self._catalog.alone(RETENTION_LOCK, 0) as conn:
            if conn is None:
                return NOTHING
            now = self._clock.now()
            with conn.transaction():
                snapshots, data_files, delete_files = self._forget(conn, now)
            removed = self._remove(conn, now)
            return Expired(snapshots, data_files, delete_files, removed, 0)

    def remove_orphans(self) -> Expired:
        """Remove old files in the lake's folder that the catalog does not know; killed writers leave them.

        Raises:
            LakeUnavailable: the catalog was lost.
        """
        before = (self._clock.now() - ORPHAN_AGE).timestamp()
        # Listed before the catalog is read: what a commit names in between is too young.
        old = [path for path in self._lake.rglob("*.parquet") if _modified(path) < before]
        indexes = [path for path in self._keys.glob("*.keys") if _modified(path) < before]
        with self._catalog.alone(RETENTION_LOCK, 0) as conn:
            if conn is None:
                return NOTHING
            known = self._known(conn)
        orphans = [path for path in old if path not in known]
        stems = {path.stem for path in known}
        for path in [*orphans, *(index for index in indexes if index.stem not in stems)]:
            path.unlink(missing_ok=True)
        return Expired(0, 0, 0, 0, len(orphans))

    def _forget(self, conn: Connection, now: datetime) -> tuple[int, int, int]:
        snapshots = [
            Snapshot(*row) for row in conn.execute("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot")
        ]
        keep = kept(snapshots, now, self._retention)
        expired = [snapshot.snapshot_id for snapshot in snapshots if snapshot.snapshot_id not in keep]
        for name in ("ducklake_snapshot", "ducklake_snapshot_changes"):
            conn.execute(f"DELETE FROM {name} WHERE snapshot_id = ANY(%s)".encode(), [expired])
        data_files = unseen(
            keep,
            [
                Span(*row)
                for row in conn.execute(
                    "SELECT data_file_id, begin_snapshot, end_snapshot FROM ducklake_data_file"
                    " WHERE end_snapshot IS NOT NULL"
                )
            ],
        )
        delete_files = unseen(
            keep,
            [
                Span(*row)
                for row in conn.execute(
                    "SELECT delete_file_id, begin_snapshot, end_snapshot FROM ducklake_delete_file"
                    " WHERE end_snapshot IS NOT NULL"
                )
            ],
        )
        self._schedule(conn, "data", data_files, now)
        self._schedule(conn, "delete", delete_files, now)
        for name in _OF_DATA_FILES:
            conn.execute(f"DELETE FROM {name} WHERE data_file_id = ANY(%s)".encode(), [data_files])
        return len(expired), len(data_files), len(delete_files)

    def _schedule(self, conn: Connection, kind: str, file_ids: Sequence[int], now: datetime) -> None:
        """Take files out of the catalog, and note that they are to be removed; paths are the lake's folder's."""
        conn.execute(
            f"""
            WITH gone AS (
                DELETE FROM ducklake_{kind}_file WHERE {kind}_file_id = ANY(%(ids)s)
                RETURNING {kind}_file_id AS file_id, table_id, path, path_is_relative
            ), folders AS (
                SELECT DISTINCT ON (t.table_id) t.table_id, s.path || t.path AS folder
                FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id
                ORDER BY t.table_id, t.begin_snapshot DESC
            )
            INSERT INTO ducklake_files_scheduled_for_deletion (data_file_id, path, path_is_relative, schedule_start)
            SELECT file_id, CASE WHEN path_is_relative THEN folder ELSE '' END || path, path_is_relative, %(now)s
            FROM gone LEFT JOIN folders USING (table_id)
            """.encode(),
            {"ids": list(file_ids), "now": now},
        )

    def _remove(self, conn: Connection, now: datetime) -> int:
        """Unlink the files whose grace has passed, then forget them."""
        rows = conn.execute(
            "SELECT path, path_is_relative FROM ducklake_files_scheduled_for_deletion WHERE schedule_start <= %s"
            " ORDER BY schedule_start LIMIT %s",
            [now - self._grace, REMOVED_AT_ONCE],
        ).fetchall()
        for path, is_relative in rows:
            place = self._lake / path if is_relative else Path(path)
            # A file that somebody added to the lake from elsewhere is not ours to remove.
            if place.is_relative_to(self._lake) and ".." not in place.parts:
                place.unlink(missing_ok=True)
        conn.execute(
            "DELETE FROM ducklake_files_scheduled_for_deletion WHERE path = ANY(%s)",
            [[row[0] for row in rows]],
        )
        return len(rows)

    def _known(self, conn: Connection) -> set[Path]:
        rows = conn.execute(
            """
            WITH folders AS (
                SELECT DISTINCT t.table_id, s.path || t.path AS folder
                FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id
            )
            SELECT folder || path, path, path_is_relative FROM folders JOIN ducklake_data_file USING (table_id)
            UNION ALL
            SELECT folder || path, path, path_is_relative FROM folders JOIN ducklake_delete_file USING (table_id)
            UNION ALL
            SELECT path, path, path_is_relative FROM ducklake_files_scheduled_for_deletion
            """
        ).fetchall()
        return {self._lake / whole if is_relative else Path(path) for whole, path, is_relative in rows}


def reachable(conn: Connection, at: datetime) -> tuple[Snapshot | None, Snapshot | None]:
    """The snapshot that held at a time, null where none is kept, and the oldest one there is."""
    row = conn.execute(
        "SELECT snapshot_id, snapshot_time FROM ducklake_snapshot WHERE snapshot_time <= %s"
        " ORDER BY snapshot_id DESC LIMIT 1",
        [at.replace(tzinfo=UTC) if at.tzinfo is None else at],
    ).fetchone()
    oldest = conn.execute(
        "SELECT snapshot_id, snapshot_time FROM ducklake_snapshot ORDER BY snapshot_id LIMIT 1"
    ).fetchone()
    return (Snapshot(*row) if row else None), (Snapshot(*oldest) if oldest else None)


def _modified(path: Path) -> float:
    """When a file was last written; as if now where it is gone already."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
