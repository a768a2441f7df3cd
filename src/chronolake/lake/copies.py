"""Copies of tables on their way into the lake: files that lie there already, and that no snapshot knows yet.

They are named in a text, for a copy takes long and whoever began it may not be who ends it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chronolake.capture.columns import Table
from chronolake.lake.records import DataFile, LakeTable
from chronolake.lake.stats import ColumnStats


@dataclass(frozen=True)
class TableCopy:
    """All rows of a table as files; they take the place of those it has."""

    table: Table
    files: Sequence[DataFile]


def to_text(files: Sequence[DataFile], held: LakeTable) -> str:
    """Name files that were laid down for `held`."""
    return json.dumps({"partition_id": held.partition_id, "files": [asdict(file) for file in files]})


def of_text(text: str, held: LakeTable, folder: Path) -> list[DataFile] | None:
    """The files that a text names; None where one is missing, cut, or the table is partitioned otherwise since."""
    named = json.loads(text)
    files = [
        DataFile(
            **file
            | {
                "partitions": tuple(tuple(values) for values in file["partitions"]),
                "stats": [ColumnStats(**stats) for stats in file["stats"]],
            }
        )
        for file in named["files"]
    ]
    if named["partition_id"] != held.partition_id or any(not _lies(folder / f.path, f.bytes) for f in files):
        return None
    return files


def discard(text: str, folder: Path) -> None:
    """Remove the files that a text names, which no snapshot may know."""
    for file in json.loads(text)["files"]:
        (folder / file["path"]).unlink(missing_ok=True)


def _lies(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
