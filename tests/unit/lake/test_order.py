"""The order of rows, told against Python's own sorting."""

import random
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.lake.order import in_order, parts_in_order

#: Names whose order by bytes differs from their order by letters.
DOMAINS = ["a.example", "Z.example", "é.example", "", "a", "zz", "日本.example"]


def rows(count, seed):
    rng = random.Random(seed)
    return pa.table(
        {
            "domain": pa.chunked_array(
                [[rng.choice(DOMAINS) for _ in range(count // 2)], ["zz"] * (count - count // 2)], pa.string()
            ),
            "timestamp": pa.array(
                [datetime(1969, 12, 30) + timedelta(hours=rng.randrange(99)) for _ in range(count)],
                pa.timestamp("us"),
            ),
            "number": pa.array(range(count)),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_sorted_and_cut_where_the_partition_changes(seed):
    given = rows(300, seed)
    rng = random.Random(seed)
    partition = [rng.randrange(4) for _ in range(300)]
    parts = list(parts_in_order(given, CDX_RECORDS, [pa.chunked_array([partition])]))
    expected = sorted(
        given.to_pylist(),
        key=lambda row: (
            partition[row["number"]],
            row["domain"].encode(),
            row["timestamp"],
            row["number"],
        ),
    )
    assert pa.concat_tables(parts).to_pylist() == expected
    assert [{partition[n] for n in part["number"].to_pylist()} for part in parts] == [{0}, {1}, {2}, {3}]


def test_without_partitions_there_is_one_run():
    given = rows(10, 1)
    assert list(parts_in_order(given, CDX_RECORDS, [])) == [in_order(given, CDX_RECORDS)]


def test_no_rows_are_no_run():
    assert list(parts_in_order(rows(0, 1), CDX_RECORDS, [pa.chunked_array([[]], pa.int64())])) == []
    assert in_order(rows(0, 1), CDX_RECORDS).num_rows == 0
