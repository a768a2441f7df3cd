"""Fold the changes of one table to what became of each key: the last change wins, and a row that came and went is none.

Pure: decoded changes in, `TableChanges` out. No lake and no server here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chronolake.capture.columns import Table
from chronolake.lake import TableChanges
from chronolake.lake.keys import Keys, keys_of
from chronolake.sync.tuples import Changes

_INSERT, _DELETE = ord("I"), ord("D")
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Events:
    """What happened, in order: to `keys[n]` by message `row[n]`.

    `live` where it left a row, `new` where there was none of that key before.
    """

    keys: Keys
    row: _Numbers
    live: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    #: number of the event that tells what the row was called before, -1 where it kept its key
    before: _Numbers


def fold(table: Table, decoded: Sequence[Changes], *, truncated: bool, careful: bool) -> TableChanges:
    """What became of each key by `decoded`, which are in the order of the stream.

    `careful`: a row that is inserted may be in the lake already, as after a copy of the table that was made later than
    the stream is.
    """
    rows = pa.concat_tables([table.arrow_schema.empty_table(), *(_in_schema(table, c) for c in decoded)])
    events = _events(table, decoded)
    order = np.lexsort((np.arange(len(events.row)), events.keys[:, 1], events.keys[:, 0]))
    keys = events.keys[order]
    starts = np.ones(len(order), bool)
    starts[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    firsts = order[starts]
    ends = np.append(starts[1:], True) if len(order) else starts
    lasts = order[ends]
    living = np.sort(lasts[events.live[lasts]])
    held = firsts if careful else firsts[~events.new[firsts]]
    masks = _masks(decoded, rows.num_rows)
    values, kept, was = _resolved(rows, events, living, masks)
    return TableChanges(
        table=table,
        rows=values,
        gone=events.keys[np.sort(held)],
        truncated=truncated,
        kept=kept,
        was=was,
    )


def _events(table: Table, decoded: Sequence[Changes]) -> _Events:
    """One event a message, and one more for a key that an update took from its row."""
    keys, row, live, new, before = [], [], [], [], []
    base = count = 0
    for changes in decoded:
        number = len(changes)
        deleted = changes.kinds == _DELETE
        own = np.zeros((number, 2), np.uint64)
        old = np.zeros((number, 2), np.uint64)
        places = np.flatnonzero(~deleted)
        own[places] = keys_of(changes.new[table.key].take(pa.array(places)))
        had = np.flatnonzero(changes.has_old)
        old[had] = keys_of(changes.old[table.key].take(pa.array(had)))
        own[deleted] = old[deleted]
        moved = changes.has_old & ~deleted & (own != old).any(axis=1)
        # A moved row is two events: its old key ends, then its new one begins.
        twice = np.repeat(np.arange(number), 1 + moved)
        second = np.append(twice[1:] == twice[:-1], False) if number else np.zeros(0, bool)
        keys.append(np.where(second[:, None], old[twice], own[twice]))
        row.append(twice + base)
        live.append(~second & ~deleted[twice])
        new.append(~second & ((changes.kinds == _INSERT) | moved)[twice])
        came = np.full(len(twice), -1, np.int64)
        came[1:][second[:-1]] = np.flatnonzero(second) + count
        before.append(came)
        base += number
        count += len(twice)
    if not keys:
        empty = np.zeros(0, np.int64)
        return _Events(np.zeros((0, 2), np.uint64), empty, empty.astype(bool), empty.astype(bool), empty)
    return _Events(*(np.concatenate(part) for part in (keys, row, live, new, before)))


def _resolved(
    rows: pa.Table, events: _Events, living: _Numbers, masks: dict[str, npt.NDArray[np.bool_]]
) -> tuple[pa.Table, dict[str, npt.NDArray[np.bool_]], Keys]:
    """The rows of the `living` events, with values that a change left as they were taken from the change before it.

    What no change tells is marked as kept, and `was` names the key that the lake has it under.
    """
    values = rows.take(pa.array(events.row[living]))
    lacking = {name: mask[events.row[living]] for name, mask in masks.items()}
    was = events.keys[living].copy()
    if not any(mask.any() for mask in lacking.values()):
        return values, {}, was
    by_key: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(map(tuple, events.keys.tolist())):
        by_key.setdefault(key, []).append(number)
    kept: dict[str, npt.NDArray[np.bool_]] = {}
    for name, mask in lacking.items():
        if not mask.any():
            continue
        column = values[name].to_pylist()
        told = rows[name]
        for place in np.flatnonzero(mask).tolist():
            event, key = _teller(events, by_key, int(living[place]), masks[name])
            if event is None:
                was[place] = key
            else:
                column[place] = told[int(events.row[event])].as_py()
                mask[place] = False
        field = values.schema.field(name)
        values = values.set_column(values.schema.get_field_index(name), field, pa.array(column, field.type))
        if mask.any():
            kept[name] = mask
    return values, kept, was


def _teller(
    events: _Events, by_key: dict[tuple[int, int], list[int]], event: int, mask: npt.NDArray[np.bool_]
) -> tuple[int | None, tuple[int, int]]:
    """The change that tells the value which `event` left as it was; None, and the row's first key, where none does."""
    while True:
        key = tuple(events.keys[event].tolist())
        if events.before[event] >= 0:
            event = int(events.before[event])
            key = tuple(events.keys[event].tolist())
        earlier = [number for number in by_key[key] if number < event and events.live[number]]
        if not earlier:
            return None, key
        event = earlier[-1]
        if not mask[events.row[event]]:
            return event, key


def _masks(decoded: Sequence[Changes], count: int) -> dict[str, npt.NDArray[np.bool_]]:
    """For each column that has any, the messages that left its value as it was."""
    found: dict[str, npt.NDArray[np.bool_]] = {}
    base = 0
    for changes in decoded:
        for name, mask in changes.unchanged.items():
            found.setdefault(name, np.zeros(count, bool))[base : base + len(changes)] = mask
        base += len(changes)
    return found


def _in_schema(table: Table, changes: Changes) -> pa.Table:
    """The new rows in the table's columns; a column that the relation had not yet is null."""
    schema = table.arrow_schema
    arrays = [
        changes.new[field.name]
        if field.name in changes.new.column_names
        else pa.nulls(len(changes), field.type)
        for field in schema
    ]
    # Nulls are for deletes, whose rows nobody takes, so the schema's promises are not made here.
    return pa.Table.from_arrays(arrays, schema=schema)
