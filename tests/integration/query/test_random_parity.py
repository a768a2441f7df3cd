"""Whatever is asked, every engine gives the same rows: parameters at random, from files, from rollups, from PostgreSQL.

CHRONOLAKE_PARITY_SETS says how many sets each question is asked with (`make test-parity`), CHRONOLAKE_PARITY_SEED which.
"""

import asyncio
import math
import os
import random

import pytest

from chronolake.errors import ChronolakeError, ParameterInvalid
from chronolake.query import QUESTIONS, QueryOptimizer, Scope
from chronolake.query.params import read
from chronolake.query.route import Reason

from .conftest import followed
from .nasty_rows import nasty_batches
from .random_ways import ways

#: Five for each of some forty questions are more than two hundred.
SETS = int(os.environ.get("CHRONOLAKE_PARITY_SETS", "5"))
SEED = int(os.environ.get("CHRONOLAKE_PARITY_SEED", "1"))
#: Differences that a failure shows.
SHOWN = 30
#: Questions that rollups are made for, by these intervals, for every project and by project.
ROLLED_UP = {
    "domain_timeline": ["month"],
    "domain_statistics": [None],
    "project_summary": [None],
    "source_trend": ["day"],
    "top_domains": [None],
}


@pytest.fixture(scope="module")
def nastier(database, lake, filled):
    """Rows besides that are rare, and legal: far years, fractions, texts of every kind, zeros below zero, no numbers."""
    chance = random.Random(f"{SEED} nastier")
    for table, batch in nasty_batches(chance, filled):
        names = ", ".join(f'"{name}"' for name in batch.column_names)
        values = ", ".join(["%s"] * batch.num_columns)
        with database.connection() as conn, conn.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table.postgres_table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({values})",
                [list(row.values()) for row in batch.to_pylist()],
            )
        lake.append(table, batch)
    followed(database, lake)


@pytest.fixture(scope="module")
def rolled_up(database, lake, make_settings, nastier):
    optimizer = QueryOptimizer(database=database, lake=lake, settings=make_settings())
    for name, intervals in ROLLED_UP.items():
        for interval in intervals:
            params = {"interval": interval} if interval else {}
            for by_project in (False, True):
                optimizer.make(optimizer.rollups_for(name, params, by_project=by_project))


@pytest.fixture
def router(make_router, lake, rolled_up):
    made = make_router(lake, CHRONOLAKE_CACHE_BYTES=0)
    # What was asked is asked about, too: nothing is to be written down meanwhile, and nothing forgotten.
    made._history._forgets_at = math.inf
    made._history.start()
    made._history.stop()
    return made


@pytest.fixture
def answers(router, follow):
    """Every engine's rows of a question, with types; and whether rollups gave them."""

    def _answers(name, params, scope):
        async def all_of_them():
            found = {}
            for engine in ("postgres", "duckdb", *(["auto"] if name in ROLLED_UP else [])):
                try:
                    answer = await router.ask(name, params, scope=scope, engine=engine)
                except ChronolakeError as error:
                    # That is no answer, and so no equal one.
                    found[engine] = [[(engine, type(error), error.message)]]
                    continue
                rolled = answer.code is Reason.ROLLUP
                if engine != "auto" or rolled:
                    found["rollup" if rolled else engine] = [
                        [(column, type(value), repr(value)) for column, value in row.items()]
                        for row in answer.rows
                    ]
            return found

        return asyncio.run(all_of_them())

    return _answers


def test_there_are_two_hundred_sets():
    assert len(QUESTIONS) * SETS >= 200


@pytest.mark.timeout(180 if SETS <= 5 else 3600)
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_engine_gives_the_same_rows(answers, filled, name):
    question = QUESTIONS[name]
    chance = random.Random(f"{SEED} {name}")
    different, sets, rolled = [], 0, 0
    while sets < SETS:
        params, scope = ways(question.params, list(filled), chance)
        if name in ROLLED_UP and not sets:
            # Chance alone would seldom ask about all times and projects, which every rollup can answer.
            params = {key: value for key, value in params.items() if key not in {"start", "end", "project"}}
            scope = Scope.everything()
        try:
            read(name, question.params, params)
        except ParameterInvalid:
            # Some ranges end before they begin once their digits are read.
            continue
        sets += 1
        found = answers(name, params, scope)
        rolled += "rollup" in found
        truth = found.pop("postgres")
        different += [
            f"{params} {sorted(scope.project_ids) if scope.project_ids is not None else 'everything'}"
            f" {engine}: {_first_difference(truth, rows)}"
            for engine, rows in found.items()
            if rows != truth
        ]
    told = "\n".join(different[:SHOWN])
    assert not different, f"seed {SEED}: {len(different)} of {sets} sets differ\n{told}"
    # Rollups are compared as well, and not by chance alone.
    assert rolled or name not in ROLLED_UP


def _first_difference(truth, rows):
    for number, (right, wrong) in enumerate(zip(truth, rows, strict=False)):
        if right != wrong:
            cells = [(one, other) for one, other in zip(right, wrong, strict=True) if one != other]
            return f"row {number} of {len(truth)} and {len(rows)}: {cells}"
    return f"{len(truth)} rows and {len(rows)}"
