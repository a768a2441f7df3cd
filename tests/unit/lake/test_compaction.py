"""What is merged, decided on lists of files."""

import random

import pytest

from chronolake.lake.compaction import Kind, Limits, Merge, plan
from chronolake.lake.records import LakeTable, LiveFile
from chronolake.settings import Layout

HELD = LakeTable(1, {}, 7, Layout.BUCKET, "main/t/")
LIMITS = Limits(rows=1_000_000, files=100)


def file(number, rows, *buckets, deleted=0, partition_id=7):
    return LiveFile(
        data_file_id=number,
        path=f"{number}.parquet",
        rows=rows,
        bytes=10_000 + rows * 65,
        row_id_start=0,
        begin_snapshot=number,
        partitions=(frozenset(buckets),),
        delete_path="d.parquet" if deleted else None,
        deleted=deleted,
        partition_id=partition_id,
    )


def planned(files, limits=LIMITS):
    return [(merge.kind, [file.data_file_id for file in merge.inputs]) for merge in plan(files, HELD, limits)]


def test_nothing_to_do_is_an_empty_list():
    assert planned([]) == []
    assert planned([file(1, 100, 1, 2), file(2, 5000, 3), file(3, 900_000, 3)]) == []


def test_a_layout_that_is_not_ours_is_left_alone():
    assert plan([file(n, 10, 1) for n in range(50)], LakeTable(1, {}, 7, None, "t/"), LIMITS) == []


def test_few_rows_are_gathered_and_many_are_dealt_out_together():
    hot = [file(n, 1000, *range(16)) for n in range(4)]
    (gather,) = plan(hot, HELD, LIMITS)
    assert (gather.kind, gather.apart, gather.rows) == (Kind.GATHER, False, 4000)
    (deal,) = plan([file(n, 10_000, *range(16)) for n in range(16)], HELD, LIMITS)
    assert (deal.kind, deal.apart, deal.rows) == (Kind.DEAL, True, 160_000)


def test_files_of_another_partitioning_are_dealt_out():
    assert planned([file(1, 500_000, 3, partition_id=5)]) == [(Kind.DEAL, [1])]


def test_files_of_one_size_are_merged_with_all_smaller_ones():
    files = [file(n, 5000, 3) for n in range(4)] + [file(8, 3, 3), file(9, 100_000, 3), file(10, 5000, 4)]
    assert planned(files) == [(Kind.MERGE, [8, 0, 1, 2, 3])]


def test_a_merge_stays_within_its_limits():
    for merge in plan([file(n, 300_000, 3) for n in range(30)], HELD, LIMITS):
        assert merge.rows <= LIMITS.rows
    for merge in plan([file(n, 2, 3) for n in range(1000)], HELD, LIMITS):
        assert len(merge.inputs) <= LIMITS.files


def test_a_file_with_many_deleted_rows_is_written_anew():
    worn, fresh = file(1, 900_000, 3, deleted=300_000), file(2, 900_000, 3, deleted=100_000)
    assert planned([worn, fresh]) == [(Kind.REWRITE, [1])]
    # A small one waits for its merge.
    assert planned([file(1, 1000, 3, deleted=900)]) == []


def after(merge: Merge, number: int) -> list[LiveFile]:
    """The files that a merge leaves, one for each partition."""
    buckets = sorted({bucket for one in merge.inputs for bucket in one.partitions[0]})
    if not merge.apart:
        return [file(number, merge.rows, *buckets)]
    share = merge.rows // len(buckets)
    rows = [share] * (len(buckets) - 1) + [merge.rows - share * (len(buckets) - 1)]
    return [
        file(number + n, count, bucket) for n, (bucket, count) in enumerate(zip(buckets, rows, strict=True))
    ]


@pytest.mark.parametrize("commit_rows", [1, 100, 10_000])
def test_it_converges_and_writes_each_row_a_few_times_only(commit_rows):
    dice, files, number, written, commits = random.Random(1), [], 0, 0, 600
    for _ in range(commits):
        number += 100
        files.append(file(number, commit_rows, *dice.sample(range(16), min(16, commit_rows))))
        for _ in range(20):
            merges = plan(files, HELD, LIMITS)
            if not merges:
                break
            gone = {one.data_file_id for merge in merges for one in merge.inputs}
            files = [one for one in files if one.data_file_id not in gone]
            for merge in merges:
                number += 100
                written += merge.rows
                files += after(merge, number)
        else:
            pytest.fail("it does not converge")
    total = sum(one.rows for one in files)
    assert total == commits * commit_rows
    # Once a size, and there are log4(600) = 5 sizes above the commit's, on both sides of the deal.
    assert written <= 8 * total
    # A few of each size in each bucket.
    assert len(files) <= 16 * 12
