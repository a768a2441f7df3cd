"""Repair: the leader makes the lake's rows of some keys as PostgreSQL's are, in its one order of commits.

No older row is put over a newer one, and no row comes twice:

1. The rows are read as a snapshot shows them, each with its version.
2. The stream is followed until the lake has all that the snapshot shows. The lake may have more by then.
3. Everybody who may have changed the table by now ends, and the versions are read again. A row whose version is the
   same was not changed by anything that the lake has, so what was read is what belongs there at the checkpoint where
   the lake stands. A row with another version is left to the stream, which brings how it became so.
4. Rows of such keys go and the rows that were read come, in one commit with that same checkpoint.

Nothing comes between 3 and 4, for the leader itself does both. What the stream brings later finds the lake as if it
had never been wrong: an update or a delete takes the row by its key, and an insert of a key that has a row cannot
come.
"""

import numpy as np
import pyarrow as pa

from chronolake.capture.columns import Table
from chronolake.lake import TableChanges
from chronolake.lake.keys import Keys, keys_of
from chronolake.lake.repairs import Repaired
from chronolake.sync.scan import Scanned


def keys_array(table: Table, keys: list[str]) -> pa.Array:
    """Keys that are written as PostgreSQL writes them, in the key's own Arrow type."""
    kind = table[table.key].arrow
    if kind == pa.uuid():
        storage = pa.array([bytes.fromhex(key.replace("-", "")) for key in keys], pa.binary(16))
        return pa.ExtensionArray.from_storage(kind, storage)
    if pa.types.is_integer(kind):
        return pa.array([int(key) for key in keys], kind)
    return pa.array(keys, kind)


def key_texts(column: pa.ChunkedArray) -> list[str]:
    """The keys of a column as PostgreSQL writes them."""
    return [str(value) for value in column.to_pylist()]


def plan_repair(
    table: Table, keys: list[str], read: Scanned, now: dict[str, str]
) -> tuple[TableChanges, Repaired]:
    """What to do to the lake, and what to answer: `read` with its versions, and the versions there are `now`."""
    names = key_texts(read.rows[table.key])
    before = dict(zip(names, read.versions, strict=True))
    bad = {
        names[int(row)]: f"the value of {column} does not fit the lake's type {table[column].arrow}"
        for column, rows in read.unfit.items()
        for row in rows
    }
    steady = [key for key in keys if before.get(key) == now.get(key)]
    done = [key for key in steady if key not in bad]
    wanted = set(done)
    mask = np.array([name in wanted for name in names], bool)
    rows = read.rows.filter(pa.array(mask)).cast(table.arrow_schema)
    gone: Keys = keys_of(keys_array(table, done))
    return TableChanges(table, rows, gone), Repaired(
        keys=tuple(done),
        moved=tuple(key for key in keys if before.get(key) != now.get(key)),
        unfit={key: bad[key] for key in steady if key in bad},
    )
