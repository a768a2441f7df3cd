"""Answers from rollups are those of the captures; where a rollup cannot know, the captures answer."""

import asyncio

import pytest

from chronolake.errors import ParameterInvalid
from chronolake.query import QUESTIONS, QueryOptimizer, Scope


@pytest.fixture(scope="module")
def optimizer(database, lake, filled, make_settings):
    return QueryOptimizer(database=database, lake=lake, settings=make_settings())


#: Of every shape there is one that is asked about single projects, too.
BY_PROJECT = (
    "archive_sources_comparison", "content_quality_distribution", "domain_statistics", "domain_timeline",
    "link_rot", "project_summary", "projects_comparison", "status_mime",
)  # fmt: skip


@pytest.fixture(scope="module")
def rolled_up(optimizer):
    """Rollups for every question that one can serve; names of those questions."""
    served = set()
    for name, question in QUESTIONS.items():
        about = question.params.model_fields.get("project")
        try:
            wanted = optimizer.rollups_for(name, {}, by_project=about is not None and about.is_required())
        except ParameterInvalid:
            continue
        optimizer.make(wanted)
        served.add(name)
    for name in BY_PROJECT:
        optimizer.make(optimizer.rollups_for(name, {}, by_project=True))
    optimizer.make(optimizer.rollups_for("domain_timeline", {"interval": "year"}, by_project=False))
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
    for name in sorted(rolled_up):
        for number, params in enumerate(asked[name]):
            # What a scope does is the same however the question is asked.
            for scope in scopes if number < 2 else scopes[:1]:
                if {"project", "projects"} & set(params) and scope.project_ids == frozenset({first}):
                    continue
                rolled = ask(name, "auto", scope, **params)
                if not rolled.meta.rollups:
                    # The captures answered: that all engines do so alike is asked elsewhere.
                    continue
                used.add(name)
                assert "rollup" in rolled.meta.reason
                plain = ask(name, "duckdb", scope, **params)
                assert plain.meta.rollups == []
                assert [list(row.items()) for row in rolled.rows] == [
                    list(row.items()) for row in plain.rows
                ], f"{name} {params} {scope} {rolled.meta.rollups}"
    assert used == rolled_up
