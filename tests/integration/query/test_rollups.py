"""Answers from rollups are those of the captures; where a rollup cannot know, the captures answer."""

import asyncio

import pytest

from chronolake.errors import ParameterInvalid
from chronolake.query import QUESTIONS, QueryOptimizer, Scope


@pytest.fixture(scope="module")
def optimizer(database, lake, filled, make_settings):
    return QueryOptimizer(database=database, lake=lake, settings=make_settings())


@pytest.fixture(scope="module")
def rolled_up(optimizer):
    """Rollups for every question that one can serve, asked plainly and by project; names of those questions."""
    served = set()
    for name in QUESTIONS:
        for interval in ({}, {"interval": "year"}):
            for by_project in (False, True):
                if interval and "interval" not in QUESTIONS[name].params.model_fields:
                    continue
                try:
                    wanted = optimizer.rollups_for(name, interval, by_project=by_project)
                except ParameterInvalid:
                    continue
                optimizer.make(wanted)
                served.add(name)
    return served


@pytest.fixture
def ask(make_router, lake):
    router = make_router(lake, CHRONOLAKE_CACHE_BYTES=0)

    def _ask(name, engine, scope, **params):
        return asyncio.run(router.ask(name, params, scope=scope, engine=engine))

    return _ask


def test_rollups_answer_as_the_captures_do(ask, asked, filled, rolled_up):
    first, second = filled
    scopes = [Scope.everything(), Scope(frozenset({first})), Scope(frozenset({first, second, 999_999}))]
    used = set()
    for name, ways in asked.items():
        for params in ways:
            for scope in scopes:
                if {"project", "projects"} & set(params) and scope.project_ids == frozenset({first}):
                    continue
                rolled = ask(name, "auto", scope, **params)
                plain = ask(name, "duckdb", scope, **params)
                assert plain.meta.rollups == []
                assert [list(row.items()) for row in rolled.rows] == [
                    list(row.items()) for row in plain.rows
                ], f"{name} {params} {scope} {rolled.meta.rollups}"
                if rolled.meta.rollups:
                    used.add(name)
                    assert "rollup" in rolled.meta.reason
    assert used == rolled_up
