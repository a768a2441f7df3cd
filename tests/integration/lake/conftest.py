"""A lake in a fresh database, and captures to put into it."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.lake import Lake, StagedBatch, stage


def _captures(count, *, first=0, batch_id=1, domains=40, table=CDX_RECORDS):
    """`count` captures numbered from `first`, spread over `domains` and ten years, in no order."""
    numbers = range(first, first + count)
    given = {
        "domain": [f"host-{n * 7919 % domains:03d}.example" for n in numbers],
        "timestamp": [datetime(2015, 1, 1) + timedelta(hours=n * 104729 % 87_600) for n in numbers],
        "status_code": [(200, 404, None)[n % 3] for n in numbers],
        "content_length": [n * 3 for n in numbers],
        "warc_record_offset": [(n * 2_654_435_761 >> 16) % 16 for n in numbers],
        "url": [f"http://host/{n}" for n in numbers],
        "batch_id": [batch_id] * count,
        "project_id": [n % 2 + 1 for n in numbers],
    }
    made = []
    for field in table.arrow_schema:
        if field.name == "id":
            storage = pa.array([n.to_bytes(16, "big") for n in numbers], pa.binary(16))
            made.append(pa.ExtensionArray.from_storage(field.type, storage))
        elif field.name in given:
            made.append(pa.array(given[field.name], field.type))
        elif field.nullable:
            made.append(pa.nulls(count, field.type))
        elif pa.types.is_string(field.type):
            made.append(pa.array(["x"] * count))
        else:
            made.append(pa.array([0] * count).cast(field.type))
    return pa.Table.from_arrays(made, schema=table.arrow_schema)


@pytest.fixture
def captures():
    return _captures


@pytest.fixture
def open_lake(database, make_settings):
    """Open the database's lake with settings; all are closed at the end."""
    opened = []

    def _open(*, read_only=False, **variables):
        lake = Lake.open(make_settings(**variables), database.url, read_only=read_only)
        opened.append(lake)
        return lake

    yield _open
    for lake in opened:
        lake.close()


@pytest.fixture
def lake(open_lake):
    return open_lake()


@pytest.fixture
def staged(tmp_path):
    """Stage captures as a batch of that id, whose message lies at LSN 0/<id>0."""

    def _staged(batch_id, count=100, *, table=CDX_RECORDS, message_lsn=None):
        rows = _captures(count, first=batch_id * 100_000, batch_id=batch_id, table=table)
        file = stage(table, rows, tmp_path / "staged" / f"{table.name}-{batch_id}.arrow")
        return StagedBatch(
            batch_id=batch_id, table=table, file=file, message_lsn=message_lsn or f"0/{batch_id:X}0"
        )

    return _staged


@pytest.fixture
def ask():
    """One question to a lake's own cursor."""

    def _ask(lake, sql, *parameters):
        with lake.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchall()

    return _ask
