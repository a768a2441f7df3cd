"""Every question gives the same rows on both engines, to the last value and in the same order."""

import pytest

from chronolake.query import QUESTIONS, Scope


def test_every_question_is_asked(asked):
    assert set(asked) == set(QUESTIONS)


def test_both_engines_answer_alike(ask, asked, filled):
    first, second = filled
    scopes = [
        Scope.everything(),
        Scope(frozenset({first})),
        Scope(frozenset({first, second, 999_999})),
        Scope(frozenset()),
    ]
    for name, ways in asked.items():
        for params in ways:
            for scope in scopes:
                if {"project", "projects"} & set(params) and scope.project_ids in (
                    frozenset(),
                    frozenset({first}),
                ):
                    continue
                found = {engine: ask(name, engine, scope, **params) for engine in ("duckdb", "postgres")}
                assert {engine: answer.meta.engine for engine, answer in found.items()} == {
                    "duckdb": "duckdb",
                    "postgres": "postgres",
                }
                rows = {
                    engine: [list(row.items()) for row in answer.rows] for engine, answer in found.items()
                }
                assert rows["duckdb"] == rows["postgres"], f"{name} {params} {scope}"
                types = {
                    engine: [[type(value) for _, value in row] for row in given]
                    for engine, given in rows.items()
                }
                assert types["duckdb"] == types["postgres"], f"{name} {params} {scope}"
                for row in found["duckdb"].rows:
                    assert set(row) == set(QUESTIONS[name].row.model_fields)
                    QUESTIONS[name].row.model_validate(row, strict=True)


def test_sums_over_parts_agree_with_the_whole(ask, filled, lake):
    with lake.cursor() as cursor:
        total, revisits = cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE record_type = 'revisit') FROM cdx_records"
        ).fetchone()
    sections = {}
    for row in ask("project_summary").rows:
        sections.setdefault(row["section"], []).append(row)
    assert set(sections) == {"total", "status", "mime_type", "month"}
    assert {name: sum(row["captures"] for row in rows) for name, rows in sections.items()} == dict.fromkeys(
        sections, total
    )
    assert {name: sum(row["revisits"] for row in rows) for name, rows in sections.items()} == dict.fromkeys(
        sections, revisits
    )
    labels = [row["label"] for row in sections["month"]]
    assert labels == sorted(set(labels))
    for name in ("captures_by_month", "archive_sources_comparison", "source_status", "project_mime"):
        assert sum(row["captures"] for row in ask(name).rows) == total, name
    for engine in ("duckdb", "postgres"):
        parts = [ask("project_performance", engine, project=name) for name in ("news", "blogs")]
        assert sum(row["captures"] for part in parts for row in part.rows) == total
        assert ask("project_summary", engine, Scope(frozenset())).rows[0]["captures"] == 0


def test_pages_fall_into_the_tenth_that_their_score_names(ask, database, filled):
    with database.connection() as conn:
        scores = [row[0] for row in conn.execute("SELECT quality_score FROM pages")]
    wanted = {}
    for score in scores:
        on_scale = score is not None and 0 <= score <= 1
        # As PostgreSQL prints a `real`, so do people write it: 0.7 is seven tenths.
        band = min(int(round(score, 6) * 10 + 1e-9), 9) if on_scale else None
        wanted[band] = wanted.get(band, 0) + 1
    rows = ask("content_quality_distribution").rows
    assert {row["band"]: row["pages"] for row in rows} == wanted
    assert rows[-1]["band"] is None


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_times_are_inclusive_on_both_ends(ask, filled, database, engine):
    with database.connection() as conn:
        wanted = conn.execute(
            "SELECT count(*) FROM cdx_records WHERE timestamp >= '1996-12-31' AND timestamp < '1997-01-01 00:00:01'"
        ).fetchone()[0]
    given = ask("captures_by_month", engine, start="19961231", end="19970101000000").rows
    assert wanted > 0
    assert sum(row["captures"] for row in given) == wanted
