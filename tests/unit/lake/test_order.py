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
    parts = parts_in_order(given, CDX_RECORDS, [pa.chunked_array([partition])])
    expected = sorted(
        given.to_pylist(),
        key=lambda row: (
            partition[row["number"]],
            row["domain"].encode(),
            row["timestamp"],
            row["number"],
        ),
    )
    assert pa.concat_tables([part.rows() for part in parts]).to_pylist() == expected
    assert [part.values for part in parts] == [(0,), (1,), (2,), (3,)]
    assert [{partition[n] for n in part.rows()["number"].to_pylist()} for part in parts] == [
        {0},
        {1},
        {2},
        {3},
    ]


def test_without_partitions_there_is_one_run():
    given = rows(10, 1)
    (part,) = parts_in_order(given, CDX_RECORDS, [])
    assert (part.values, part.rows()) == ((), in_order(given, CDX_RECORDS))


def test_a_part_is_cut_in_order():
    (part,) = parts_in_order(rows(10, 1), CDX_RECORDS, [])
    pieces = part.cut(4)
    assert [piece.row_count for piece in pieces] == [4, 4, 2]
    assert pa.concat_tables([piece.rows() for piece in pieces]).equals(part.rows())


def test_no_rows_are_no_run():
    assert parts_in_order(rows(0, 1), CDX_RECORDS, [pa.chunked_array([[]], pa.int64())]) == []
    assert in_order(rows(0, 1), CDX_RECORDS).num_rows == 0
