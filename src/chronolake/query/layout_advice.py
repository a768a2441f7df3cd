"""Which ways of laying down the lake are worth a trial, and what came of one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chronolake.capture.columns import Table
from chronolake.lake import Way
from chronolake.settings import Layout

#: Rows of a row group that are tried: few skip more of a file, many cost less to open.
ROW_GROUP_ROWS = (20_480, 122_880, 1_000_000)
#: Buckets that are tried: a quarter and four times as many.
FEWER_BUCKETS, MORE_BUCKETS = 4, 64
#: Where the rows of all buckets must be made anew.
_ANEW = "then make the lake anew: stop all workers, DROP SCHEMA chronolake_lake CASCADE, chronolake sync run"


@dataclass(frozen=True)
class Measured:
    """A way, what the questions took in it in milliseconds, each counted as often as it was asked, and its files."""

    way: Way
    asked_ms: float
    bytes: int
    files: int
    seconds: float


@dataclass(frozen=True)
class LayoutProposal:
    """A way that was measured to be clearly faster than how the lake lies now.

    `rewrite_s` and `rewrite_bytes` are what it takes about to lay all rows down so.
    """

    table: Table
    now: Measured
    better: Measured
    rows: int
    rewrite_bytes: int
    rewrite_s: float

    kind = "layout"
    action = "change"

    @property
    def name(self) -> str:
        """The table and what would be other."""
        return f"layout_{self.table.name}_{_difference(self.now.way, self.better.way)}"

    @property
    def ratio(self) -> float:
        """How many times as fast."""
        return self.now.asked_ms / max(self.better.asked_ms, 1e-6)

    @property
    def is_applicable(self) -> bool:
        """Whether the lake can be told to lie so from now on."""
        return self.better.way == replace(self.now.way, layout=self.better.way.layout)

    @property
    def how(self) -> str:
        """What changes it."""
        now, better = self.now.way, self.better.way
        if self.is_applicable:
            return f"chronolake optimize apply {self.name}; compaction lays down anew what is there"
        if better.row_group_rows != now.row_group_rows:
            return (
                f"PARQUET_ROW_GROUP_SIZE={better.row_group_rows} for every process that writes; new and merged files"
                " have it, full ones stay"
            )
        if better.buckets != now.buckets:
            return f"BUCKETS = {better.buckets} in lake/layout.py, {_ANEW}"
        return f"sort={better.sort} of {self.table.name} in capture/columns.py, {_ANEW}"

    @property
    def why(self) -> str:
        """In words."""
        return (
            f"what was asked takes {self.better.asked_ms:.1f} ms laid down as {self.better.way.in_words},"
            f" {self.now.asked_ms:.1f} ms as {self.now.way.in_words}: {self.ratio:.2f} times as fast"
        )

    @property
    def figures(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        return {
            "rows": self.rows,
            "asked_ms": round(self.better.asked_ms, 3),
            "asked_ms_now": round(self.now.asked_ms, 3),
            "ratio": round(self.ratio, 3),
            "bytes": self.better.bytes,
            "bytes_now": self.now.bytes,
            "rewrite_bytes": self.rewrite_bytes,
            "rewrite_s": round(self.rewrite_s, 1),
        }

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "kind": self.kind,
            "action": self.action,
            "name": self.name,
            "asked": "",
            "table": self.table.name,
            "why": self.why,
            "how": self.how,
            **self.figures,
        }


def ways(now: Way, table: Table, *, whole: bool) -> list[Way]:
    """How rows may be laid down: as they are now, and otherwise in one thing each.

    Only of a `whole` table fewer buckets and layouts without any can be told: of one bucket they would have a part of
    their rows.
    """
    found = [now, *(replace(now, row_group_rows=rows) for rows in ROW_GROUP_ROWS)]
    found += [replace(now, sort=sort) for sort in _sorts(table)]
    if now.is_bucketed:
        found += [replace(now, buckets=count) for count in (FEWER_BUCKETS, MORE_BUCKETS)[0 if whole else 1 :]]
    layouts = list(Layout) if whole else [Layout.BUCKET_YEAR] if now.layout is Layout.BUCKET else []
    found += [replace(now, layout=layout) for layout in layouts]
    return list(dict.fromkeys(found))


def proposed(
    table: Table, measured: Sequence[Measured], *, ratio: float, rows: int, table_rows: int, table_bytes: int
) -> LayoutProposal | None:
    """The fastest way that was measured, the first being how it lies now; null where it gains less than `ratio`."""
    now, *others = measured
    if not others or not rows:
        return None
    better = min(others, key=lambda each: (each.asked_ms, each.bytes))
    larger = table_rows / rows
    found = LayoutProposal(
        table,
        now,
        better,
        rows,
        round(table_bytes * better.bytes / max(1, now.bytes)),
        better.seconds * larger,
    )
    return found if found.ratio >= ratio else None


def _sorts(table: Table) -> list[tuple[str, ...]]:
    by, time = table.bucket_by, table.time
    if by is None or time is None:
        return []
    names = {column.name for column in table.columns}
    return [(by, time), (time,), *([(by, "url_key", time)] if "url_key" in names else [])]


def _difference(now: Way, better: Way) -> str:
    if better.layout != now.layout:
        return str(better.layout)
    if better.row_group_rows != now.row_group_rows:
        return f"row_groups_{better.row_group_rows}"
    if better.buckets != now.buckets:
        return f"buckets_{better.buckets}"
    return "by_" + "_".join(better.sort)
