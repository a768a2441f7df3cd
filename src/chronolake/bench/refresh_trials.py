"""How long a rollup takes to be true again after scattered changes, and whether its cells are those of a rebuild."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench import stores
from chronolake.bench.captures import Run
from chronolake.bench.question_home import QuestionHome
from chronolake.bench.tables import tables_of
from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import LakeBusy, LakeIncomplete
from chronolake.lake import Lake, TableChanges
from chronolake.lake.engine import identifier
from chronolake.lake.keys import keys_of
from chronolake.query.optimizer import QueryOptimizer, Wanted

#: Changes of scattered keys, and of them the shares of updates and deletes; the rest are inserts.
CHANGES = 10_000
UPDATES, DELETES = 0.6, 0.2


@dataclass(frozen=True)
class Refresh:
    """One question's rollup. `touched_cells` were computed anew; `equal`: to the cells of a rebuild."""

    question: str
    cells: int
    made_s: float
    changes: int
    touched_cells: int
    rebuilt: bool
    refreshed_s: float
    rebuild_s: float
    equal: bool


def run(home: QuestionHome, questions: Sequence[str], *, changes: int, seed: int) -> tuple[Refresh, ...]:
    """Change `changes` captures of the lake, refresh the rollups of each question, and compare with a rebuild.

    Rollups of these questions must be there. The lake is left with the changes, which PostgreSQL has not.

    Raises:
        LakeBusy: another process refreshes them.
        LakeError: the lake failed.
    """
    lake, optimizer = home.lake, home.services.optimizer
    wanted = {name: optimizer.rollups_for(name, {}, by_project=False) for name in questions}
    # What was ingested before is not to be counted among the changes.
    optimizer.refresh()
    made_s = {state.rollup.name: state.seconds or 0.0 for state in optimizer.rollups()}
    _change(home, changes, seed)
    return tuple(
        _refreshed(lake, optimizer, name, rollups, changes=changes, made_s=made_s)
        for name, rollups in wanted.items()
    )


def _refreshed(
    lake: Lake,
    optimizer: QueryOptimizer,
    question: str,
    wanted: Sequence[Wanted],
    *,
    changes: int,
    made_s: dict[str, float],
) -> Refresh:
    names = [want.rollup.name for want in wanted]
    started = time.perf_counter()
    done = [lake.rollups().refresh(name) for name in names]
    refreshed_s = time.perf_counter() - started
    if None in done:
        raise LakeBusy(f"a rollup of {question} is being refreshed by another process")
    before = [_fingerprint(lake, name) for name in names]
    for name in names:
        optimizer.drop(name)
    started = time.perf_counter()
    optimizer.make(wanted)
    rebuild_s = time.perf_counter() - started
    return Refresh(
        question=question,
        cells=sum(cells for cells, _ in before),
        made_s=sum(made_s[name] for name in names),
        changes=changes,
        touched_cells=sum(one.cells for one in done if one is not None),
        rebuilt=any(one.rebuilt for one in done if one is not None),
        refreshed_s=refreshed_s,
        rebuild_s=rebuild_s,
        equal=before == [_fingerprint(lake, name) for name in names],
    )


def _fingerprint(lake: Lake, name: str) -> tuple[int, int]:
    """The number of cells, and a sum over a hash of each: equal where all cells are, whatever their order."""
    columns = ", ".join(identifier(column) for column in lake.columns(name))
    with lake.errors_translated(), lake.cursor() as cursor:
        row = cursor.execute(f"SELECT count(*), sum(hash({columns})) FROM {identifier(name)}").fetchone()
    return (int(row[0]), int(row[1] or 0)) if row else (0, 0)


def _change(home: QuestionHome, changes: int, seed: int) -> None:
    """Update captures all over the lake, take others away, and bring new ones, in one commit."""
    lake, database = home.lake, home.services.database
    updates, deletes = round(UPDATES * changes), round(DELETES * changes)
    held = _sample(lake, updates + deletes, seed)
    draw = Run(rows=changes - updates - deletes, seed=seed + 2)
    names = stores.Names.reserve(draw, database)
    new = pa.concat_tables(tables_of(draw, names.project_ids, names.batch_ids))
    updated = _longer(held.slice(0, updates))
    checkpoint = lake.stream_checkpoint()
    if checkpoint is None:
        raise LakeIncomplete("it has not followed PostgreSQL yet")
    gone = keys_of(held["id"])
    lake.apply_changes(
        [TableChanges(CDX_RECORDS, pa.concat_tables([updated, new]), gone)], checkpoint=checkpoint
    )


def _sample(lake: Lake, rows: int, seed: int) -> pa.Table:
    """Captures from all over the lake, in the columns that both stores hold."""
    schema = CDX_RECORDS.arrow_schema
    names = ", ".join(identifier(name) for name in schema.names)
    with lake.errors_translated(), lake.cursor() as cursor:
        found = cursor.execute(
            f"SELECT {names} FROM {CDX_RECORDS.name} WHERE id IN (SELECT id FROM {CDX_RECORDS.name}"
            f" ORDER BY hash(id, {int(seed)}) LIMIT {int(rows)})"
        ).to_arrow_table()
    if found.num_rows < rows:
        raise LakeIncomplete(f"it has {found.num_rows} captures, and {rows} are to be changed")
    return pa.Table.from_arrays([_as(found[field.name], field.type) for field in schema], schema=schema)


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if kind != pa.uuid():
        return column.cast(kind)
    # The engine hands ids over as texts.
    raw = pa.array([uuid.UUID(text).bytes for text in column.to_pylist()], pa.binary(16))
    return pa.chunked_array([pa.ExtensionArray.from_storage(kind, raw)])


def _longer(rows: pa.Table) -> pa.Table:
    """The captures, each a byte longer than it was."""
    place = rows.schema.get_field_index("content_length")
    longer = pc.add(pc.fill_null(rows["content_length"], 0), 1)
    return rows.set_column(place, rows.schema.field(place), longer)
