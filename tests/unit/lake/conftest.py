"""Rows to write."""

from datetime import datetime

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS


@pytest.fixture
def captures():
    """Makes captures of seven domains, unsorted; named columns replace or add some."""
    return _captures


def _captures(count, **columns):
    made = []
    for field in CDX_RECORDS.arrow_schema:
        if field.name in columns:
            made.append(pa.array(columns[field.name], field.type))
        elif field.name == "id":
            storage = pa.array([number.to_bytes(16, "big") for number in range(count)], pa.binary(16))
            made.append(pa.ExtensionArray.from_storage(field.type, storage))
        elif field.name == "timestamp":
            made.append(pa.array([datetime(2020, 1, 1, n % 24) for n in range(count)], field.type))
        elif field.name == "domain":
            made.append(pa.array([f"host-{n * 5 % 7}.example" for n in range(count)]))
        elif field.nullable:
            made.append(pa.nulls(count, field.type))
        elif pa.types.is_string(field.type):
            made.append(pa.array([f"{field.name}-{n}" for n in range(count)]))
        else:
            made.append(pa.array([n % 2 for n in range(count)]).cast(field.type))
    return pa.Table.from_arrays(made, schema=CDX_RECORDS.arrow_schema)
