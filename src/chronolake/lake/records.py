"""What the catalog holds of tables and files, as our commits see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from chronolake.lake.stats import ColumnStats
from chronolake.settings import Layout


@dataclass(frozen=True)
class LakeTable:
    """A table as the catalog holds it now.

    `columns` are DuckLake's numbers of them, `layout` how new files lie (null: in a way that is not ours), `folder`
    where, within the lake's.
    """

    table_id: int
    columns: dict[str, int]
    partition_id: int | None
    layout: Layout | None
    folder: str


@dataclass(frozen=True)
class DataFile:
    """A Parquet file that lies in its table's folder; `partitions` has, for each partition key, the values in it."""

    path: str
    rows: int
    bytes: int
    footer_bytes: int
    partitions: tuple[tuple[int, ...], ...]
    stats: Sequence[ColumnStats]


@dataclass(frozen=True)
class DeleteFile:
    """A Parquet file that names every row of a data file which is no more; `rows` of them."""

    path: str
    rows: int
    bytes: int
    footer_bytes: int


@dataclass(frozen=True)
class LiveFile:
    """A data file of the newest snapshot, with the delete file that belongs to it and how many rows that names."""

    data_file_id: int
    path: str
    rows: int
    bytes: int
    row_id_start: int
    begin_snapshot: int
    partitions: tuple[frozenset[int], ...]
    delete_path: str | None
    deleted: int
    #: the partitioning that it was written under; null for none
    partition_id: int | None = None

    @property
    def live_rows(self) -> int:
        """Rows that have not been deleted from it."""
        return self.rows - self.deleted
