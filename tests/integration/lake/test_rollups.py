"""Cells of rollups stay what the table's own rows give, whatever comes, goes and moves between refreshes."""

import random
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from chronolake.capture.columns import CDX_RECORDS
from chronolake.errors import LakeError
from chronolake.lake import estimate
from chronolake.lake.changes import TableChanges
from chronolake.lake.compaction import Limits
from chronolake.lake.rollup import Combine, Dimension, Measure, Rollup
from chronolake.lake.stream_notes import StreamCheckpoint

COUNTED = Measure("m1", "count(*)", Combine.SUM)
MONTH = "CAST(date_trunc('month', \"timestamp\") AS DATE)"
BY_MONTH = Rollup(
    source="cdx_records",
    where=(),
    reads=("domain", "timestamp"),
    dimensions=(Dimension("domain", "domain", nullable=False), Dimension("d2", MONTH, nullable=False)),
    measures=(
        COUNTED,
        Measure("m2", "count(DISTINCT url)", Combine.NONE),
        Measure("m3", "sum(content_length)", Combine.SUM),
        Measure("m4", "quantile_disc(content_length, [0.5, 0.95])", Combine.NONE, place=2),
        Measure("m5", 'max("timestamp")', Combine.MAX),
    ),
)
#: A dimension that may be null, and rows that are left out.
BY_STATUS = Rollup(
    source="cdx_records",
    where=("domain <> 'host-003.example'",),
    reads=("status_code", "domain"),
    dimensions=(Dimension("status_code", "status_code", nullable=True),),
    measures=(COUNTED, Measure("m2", "count(DISTINCT domain)", Combine.NONE)),
)
WHOLE = Rollup("cdx_records", (), (), (), (COUNTED, Measure("m2", "min(domain)", Combine.MIN)))
#: Only groups that fulfil something.
OFTEN = Rollup(
    source="cdx_records",
    where=(),
    reads=("content_length",),
    dimensions=(Dimension("d1", "content_length % 997", nullable=True),),
    measures=(COUNTED, Measure("m2", "count(DISTINCT domain)", Combine.NONE)),
    having=("count(*) > 2",),
)
#: Rows that are not the table's own, and can be computed by project and domain.
STEPS = Rollup(
    source="cdx_records",
    where=("steps.captures > 0",),
    reads=("domain", "project_id"),
    dimensions=(
        Dimension("project_id", "project_id", nullable=True),
        Dimension("domain", "domain", nullable=False),
        Dimension("d3", "seconds > 3600", nullable=True),
    ),
    measures=(COUNTED, Measure("m2", "sum(captures)", Combine.SUM)),
    rows=(
        (
            "instants",
            'SELECT project_id, domain, "timestamp", count(*) AS captures FROM cdx_records GROUP BY 1, 2, 3',
        ),
        (
            "steps",
            'SELECT project_id, domain, captures, epoch("timestamp" - lag("timestamp") OVER'
            ' (PARTITION BY project_id, domain ORDER BY "timestamp")) AS seconds FROM instants',
        ),
    ),
)
ROLLUPS = (BY_MONTH, BY_STATUS, WHOLE, OFTEN, STEPS)
SMALL = Limits(rows=4000, files=12, fan_in=3)


def truth(rollup):
    """What the cells are to be, from the rows themselves."""
    columns = [found.expression for found in rollup.dimensions]
    columns += [
        f"({found.expression})" + (f"[{found.place}]" if found.place else "") for found in rollup.measures
    ]
    where = f" WHERE {rollup.where[0]}" if rollup.where else ""
    having = f" HAVING {rollup.having[0]}" if rollup.having else ""
    ctes = ", ".join(f"{name} AS ({text})" for name, text in rollup.rows)
    named = f"WITH {ctes} " if ctes else ""
    rows = rollup.rows[-1][0] if ctes else "cdx_records"
    group = (
        f" GROUP BY {', '.join(found.expression for found in rollup.dimensions)}" if rollup.dimensions else ""
    )
    return f"{named}SELECT {', '.join(columns)} FROM {rows}{where}{group}{having}"


def cells(rollup):
    names = [*(found.name for found in rollup.dimensions), *(found.name for found in rollup.measures)]
    return f"SELECT {', '.join(names)} FROM {rollup.name}"


@pytest.fixture
def assert_true(ask):
    def check(lake, *rollups):
        for rollup in rollups or ROLLUPS:
            found = sorted(map(repr, ask(lake, cells(rollup))))
            assert found == sorted(map(repr, ask(lake, truth(rollup)))), rollup.dimensions

    return check


@pytest.fixture
def change(captures):
    lsn = iter(range(1, 1_000_000))

    def _change(lake, upserts=(), gone=(), *, truncated=False):
        rows = pa.concat_tables([captures(0), *(captures(1, first=number) for number in upserts)])
        lengths = pa.array([number * 7 + next(lsn) for number in upserts], pa.int64())
        position = rows.schema.get_field_index("content_length")
        rows = rows.set_column(position, rows.schema.field(position), lengths)
        numbers = np.array([[0, number] for number in [*upserts, *gone]], np.uint64).reshape(-1, 2)
        lake.apply_changes(
            [TableChanges(CDX_RECORDS, rows, numbers, truncated=truncated)],
            checkpoint=StreamCheckpoint("e", 1, next(lsn), datetime.now(UTC), datetime.now(UTC)),
        )

    return _change


def test_a_rollup_holds_what_the_rows_give_and_says_how_far_it_is(lake, captures, assert_true):
    lake.append(CDX_RECORDS, captures(3000))
    rollups = lake.rollups()
    made = [rollups.make(rollup, asked="a test") for rollup in ROLLUPS]
    assert all(refreshed.rebuilt for refreshed in made)
    assert_true(lake)
    assert rollups.make(BY_MONTH, asked="again") is None
    states = rollups.states()
    assert [state.current for state in states] == [True] * len(ROLLUPS)
    assert {state.asked for state in states} == {"a test"}
    assert [state.cells for state in states] == [refreshed.cells for refreshed in made]
    lake.append(CDX_RECORDS, captures(10, first=5000))
    assert [state.current for state in rollups.states()] == [False] * len(ROLLUPS)
    assert len(rollups.refresh_all()) == len(ROLLUPS)
    assert rollups.refresh_all() == []
    assert_true(lake)


def test_what_merges_do_to_files_changes_no_cell(lake, captures, change, assert_true):
    for n in range(12):
        lake.append(CDX_RECORDS, captures(200, first=n * 200))
    rollups = lake.rollups()
    rollups.make(BY_MONTH, asked="a test")
    change(lake, gone=range(50))
    assert list(lake.compactor(SMALL).compact())
    (state,) = rollups.states()
    assert not state.current
    (refreshed,) = rollups.refresh_all()
    # The fifty rows' cells, and not those of every row that was written anew.
    assert not refreshed.rebuilt
    assert refreshed.cells < 60
    assert_true(lake, BY_MONTH)
    list(lake.compactor(SMALL).compact())
    assert rollups.states()[0].current


@pytest.mark.parametrize("seed", range(6))
def test_refreshed_cells_are_those_of_a_rebuild(lake, captures, change, assert_true, seed):
    chance = random.Random(seed)
    lake.append(CDX_RECORDS, captures(chance.choice([0, 50, 2000])))
    rollups = lake.rollups(in_background=seed == 0)
    for rollup in ROLLUPS:
        rollups.make(rollup, asked="a test")
    known = 2000
    for _ in range(20):
        match chance.choice(
            ["append", "change", "change", "change", "gone", "compact", "refresh", "truncate"]
        ):
            case "append":
                lake.append(CDX_RECORDS, captures(chance.choice([1, 40, 300]), first=known))
                known += 300
            case "change":
                change(lake, chance.sample(range(known), 20), chance.sample(range(known), 5))
            case "gone":
                change(lake, gone=chance.sample(range(known), chance.choice([5, known // 2])))
            case "compact":
                list(lake.compactor(SMALL).compact())
            case "refresh":
                rollups.refresh_all()
                assert_true(lake)
            case "truncate" if chance.random() < 0.3:
                change(lake, chance.sample(range(known), 3), truncated=True)
    rollups.refresh_all()
    assert_true(lake)
    assert all(state.current and state.error is None for state in rollups.states())


def test_a_rollup_whose_column_is_gone_says_so_and_keeps_no_other(lake, captures):
    for n in range(4):
        lake.append(CDX_RECORDS, captures(100, first=n * 100))
    rollups = lake.rollups()
    rollups.make(BY_MONTH, asked="a test")
    rollups.make(BY_STATUS, asked="a test")
    lake.evolve(["ALTER TABLE cdx_records DROP COLUMN status_code"])
    with lake._commits.commit() as commit:
        commit.end(CDX_RECORDS, [commit.live(CDX_RECORDS)[0].data_file_id])
        commit.finish()
    assert [refreshed.name for refreshed in rollups.refresh_all()] == [BY_MONTH.name]
    by_month, by_status = rollups.states()
    assert by_month.current
    assert by_month.error is None
    assert not by_status.current
    assert "status_code" in by_status.error


def test_a_rollup_that_was_forgotten_is_gone(lake, captures, ask):
    lake.append(CDX_RECORDS, captures(100))
    rollups = lake.rollups()
    rollups.make(BY_MONTH, asked="a test")
    assert rollups.drop(BY_MONTH.name)
    assert not rollups.drop(BY_MONTH.name)
    assert rollups.states() == []
    assert ask(lake, "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'rollup%'") == [(0,)]
    assert rollups.make(BY_MONTH, asked="a test").cells


def test_what_a_rollup_would_take_is_told_before_it_is_made(lake, captures, monkeypatch):
    rollups = lake.rollups()
    typed = [rollups.typed(rollup) for rollup in ROLLUPS]
    assert {(told.cells, told.rows) for told in rollups.estimates(typed).values()} == {(0, 0)}
    lake.append(CDX_RECORDS, captures(60_000))
    told = rollups.estimates(typed)
    made = {refreshed.name: refreshed.cells for refreshed in (rollups.make(r, asked="t") for r in ROLLUPS)}
    sizes = rollups.sizes()
    for name, cells in made.items():
        assert told[name].rows == 60_000
        assert 0.8 * cells <= told[name].cells <= 1.25 * cells
        assert cells < 1000 or sizes[name] / 2 < told[name].bytes < sizes[name] * 2
    # Of a part of the rows it can be off by the square root of what the part is of the whole.
    monkeypatch.setattr(estimate, "SAMPLE_ROWS", 40_000)
    of_part = rollups.estimates(typed)
    for name, cells in made.items():
        assert cells / 3 < of_part[name].cells < cells * 3


def test_one_that_took_long_rests_while_others_are_refreshed(lake, captures, monkeypatch):
    lake.append(CDX_RECORDS, captures(100))
    rollups = lake.rollups()
    for rollup in (BY_MONTH, BY_STATUS):
        rollups.make(rollup, asked="a test")
    lake.append(CDX_RECORDS, captures(100, first=100))
    with lake._commits.reading() as conn:
        conn.execute(
            "UPDATE chronolake_rollups SET seconds = 1000, refreshed_at = clock_timestamp() - interval '1 hour'"
            " WHERE name = %s",
            [BY_MONTH.name],
        )
        conn.execute("UPDATE chronolake_rollups SET seconds = 0.001 WHERE name = %s", [BY_STATUS.name])
    assert [done.name for done in rollups.refresh_all(lambda state: 5 * state.seconds)] == [BY_STATUS.name]
    assert [done.name for done in rollups.refresh_all(lambda state: 3 * state.seconds)] == [BY_MONTH.name]


def test_a_column_that_the_lake_does_not_keep_is_refused(lake):
    odd = Rollup("cdx_records", (), ("domain",), (Dimension("domain", "domain", nullable=False),),
                 (Measure("m1", "list(url)", Combine.NONE),))  # fmt: skip
    with pytest.raises(LakeError, match="VARCHAR"):
        lake.rollups().make(odd, asked="a test")
    assert lake.rollups().states() == []
