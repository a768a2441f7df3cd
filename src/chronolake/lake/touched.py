"""Which rows of a table came or went between two snapshots, from the catalog and the files themselves.

Files that merges wrote hold no new rows, and those that merges ended lost none, so both are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection

from chronolake.lake.engine import identifier, quoted
from chronolake.lake.parquet import names_by_field
from chronolake.lake.records import LakeTable

#: Snapshots in between that only laid rows down otherwise.
_MERGES = """
    SELECT snapshot_id FROM ducklake_snapshot_changes
    WHERE snapshot_id > %(since)s AND snapshot_id <= %(until)s
        AND ('rewrite_delete:' || %(table)s) = ANY(string_to_array(changes_made, ','))
"""
#: Files that came or went whole.
_WHOLE = f"""
WITH merges AS ({_MERGES})
SELECT path, record_count FROM ducklake_data_file
WHERE table_id = %(table)s AND (
    (begin_snapshot > %(since)s AND begin_snapshot <= %(until)s
        AND begin_snapshot NOT IN (SELECT snapshot_id FROM merges))
    OR (end_snapshot > %(since)s AND end_snapshot <= %(until)s
        AND end_snapshot NOT IN (SELECT snapshot_id FROM merges))
)
"""
#: Files of which rows went: the newest delete file that names them, and the one that held before.
_DELETED = f"""
WITH merges AS ({_MERGES})
SELECT DISTINCT ON (f.data_file_id) f.path, d.path, before.path
FROM ducklake_delete_file d
JOIN ducklake_data_file f ON f.data_file_id = d.data_file_id
LEFT JOIN ducklake_delete_file before ON before.data_file_id = d.data_file_id
    AND before.begin_snapshot <= %(since)s AND coalesce(before.end_snapshot > %(since)s, true)
WHERE d.table_id = %(table)s AND d.begin_snapshot > %(since)s AND d.begin_snapshot <= %(until)s
    AND d.begin_snapshot NOT IN (SELECT snapshot_id FROM merges)
ORDER BY f.data_file_id, d.begin_snapshot DESC
"""


@dataclass(frozen=True)
class Touched:
    """Files with rows that came or went: whole ones, which have `rows`, and ones of which a delete file names them."""

    whole: tuple[Path, ...]
    rows: int
    #: data file, its delete file, and the one before that
    parts: tuple[tuple[Path, Path, Path | None], ...]

    def statement(self, held: LakeTable, columns: Sequence[str]) -> str | None:
        """SQL for `columns` of these rows, in DuckDB's dialect; null where there are none.

        A row may come several times, and some that were deleted before may come too.
        """
        parts = []
        by_names: dict[tuple[str, ...], list[Path]] = {}
        for path in self.whole:
            by_names.setdefault(_listed(path, held, columns), []).append(path)
        for listed, paths in by_names.items():
            files = ", ".join(quoted(str(path)) for path in paths)
            parts.append(f"SELECT {', '.join(listed)} FROM read_parquet([{files}])")
        for path, deletes, before in self.parts:
            gone = f"SELECT pos FROM read_parquet({quoted(str(deletes))})"
            if before is not None:
                gone += f" EXCEPT SELECT pos FROM read_parquet({quoted(str(before))})"
            parts.append(
                f"SELECT {', '.join(_listed(path, held, columns))}"
                f" FROM read_parquet({quoted(str(path))}, file_row_number = true)"
                f" WHERE file_row_number IN ({gone})"
            )
        return " UNION ALL ".join(parts) or None


def touched(conn: Connection, held: LakeTable, lake: Path, *, since: int, until: int) -> Touched:
    """The files with the rows that came or went after the snapshot `since`, up to `until`.

    Both have to be there still: what expired is not told of.
    """
    values = {"table": held.table_id, "since": since, "until": until}
    folder = lake / held.folder
    whole = conn.execute(_WHOLE, values).fetchall()
    parts = conn.execute(_DELETED, values).fetchall()
    return Touched(
        tuple(folder / row[0] for row in whole),
        sum(row[1] for row in whole),
        tuple(
            (folder / data, folder / deletes, None if before is None else folder / before)
            for data, deletes, before in parts
        ),
    )


def _listed(path: Path, held: LakeTable, columns: Sequence[str]) -> tuple[str, ...]:
    # A column bears the name that it had when the file was written; its number stays.
    called = names_by_field(path)
    return tuple(
        f"{identifier(called[held.columns[name]]) if held.columns[name] in called else 'NULL'} AS {identifier(name)}"
        for name in columns
    )
