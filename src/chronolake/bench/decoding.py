"""How fast the stream of changes is decoded: generated captures as `pgoutput` would send them, decoded on one core.

    python -m chronolake.bench.decoding 100000

PostgreSQL is left out on purpose: it sends at most some 300 thousand rows a second, and what is measured here must
not wait for it.
"""

import struct
import sys
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench.captures import PROJECTS, Run
from chronolake.bench.tables import batches_of, tables_of
from chronolake.capture.columns import CDX_RECORDS
from chronolake.sync.messages import Relation, RelationColumn
from chronolake.sync.tuples import decode_changes

_OIDS = {
    "uuid": 2950,
    "integer": 23,
    "bigint": 20,
    "text": 25,
    "timestamp without time zone": 1114,
    "boolean": 16,
    "bytea": 17,
}
_LAYOUTS = {"integer": ">i", "bigint": ">q", "timestamp without time zone": ">q", "boolean": ">?"}
# Microseconds from 1970 to 2000, where PostgreSQL's time begins.
_EPOCH_US = 946_684_800_000_000
# The fastest of so many is told: what else the machine does only ever slows one down.
_ROUNDS = 7

#: `cdx_records` as the stream describes it.
RELATION = Relation(
    16_384,
    "chronolake",
    CDX_RECORDS.name,
    "i",
    tuple(
        RelationColumn(column.name, _OIDS[column.postgres], -1, is_key=False) for column in CDX_RECORDS.stored
    ),
)


def captures(rows: int) -> pa.Table:
    """Generated captures, with the columns of the registry."""
    run = Run(rows)
    tables = tables_of(run, range(1, PROJECTS + 1), range(1, batches_of(run) + 1))
    return pa.concat_tables(tables).select(CDX_RECORDS.arrow_schema.names)


def inserts(table: pa.Table) -> list[bytes]:
    """One insert for each row, in binary."""
    header = b"I" + struct.pack(">I", RELATION.oid) + b"N" + struct.pack(">H", len(CDX_RECORDS.stored))
    columns = [_cells(table[column.name], column.postgres) for column in CDX_RECORDS.stored]
    return [header + b"".join(cells) for cells in zip(*columns, strict=True)]


def _cells(values: pa.ChunkedArray, postgres: str) -> Iterator[bytes]:
    if postgres == "uuid":
        values = pa.chunked_array([chunk.storage for chunk in values.chunks])
    if postgres == "text":
        values = values.cast(pa.binary())
    if pa.types.is_timestamp(values.type):
        values = pc.subtract(values.cast(pa.int64()), _EPOCH_US)
    layout = _LAYOUTS.get(postgres)
    for value in values.to_pylist():
        if value is None:
            yield b"n"
            continue
        data = struct.pack(layout, value) if layout else value
        yield b"b" + struct.pack(">I", len(data)) + data


def main(rows: int) -> None:
    """Print how many rows are decoded in a second of one core."""
    messages = inserts(captures(rows))
    wanted = {column.name: column.arrow for column in CDX_RECORDS.stored}
    seconds = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        decode_changes(RELATION, messages, wanted)
        seconds.append(time.process_time() - start)
    size = np.mean([len(message) for message in messages])
    rates = f"{rows / min(seconds):,.0f} rows/s at best, {rows / sorted(seconds)[_ROUNDS // 2]:,.0f} in the middle"
    sys.stdout.write(f"{rates}; {size:.0f} bytes and {len(wanted)} columns a row\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
