"""The scope laid over statements: what runs sees exactly what it would see if nothing else were stored."""

import importlib.util
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from chronolake.capture.columns import TABLES
from chronolake.query import QUESTIONS
from chronolake.query.route import Engine
from chronolake.query.text import SCOPE_PARAMETER, rendered, scope_laid_over, tables_read, written

_spec = importlib.util.spec_from_file_location("attacks", Path(__file__).with_name("attacks.py"))
attacks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(attacks)

#: Statements whose names mean different things at different places.
TRICKY = {
    "a table's own name in the first half of a recursive union": (
        "WITH RECURSIVE cdx_records AS (SELECT * FROM cdx_records UNION SELECT * FROM cdx_records WHERE false)"
        " SELECT count(*) FROM cdx_records"
    ),
    "a recursive CTE that does not recur": (
        "WITH RECURSIVE cdx_records AS (SELECT * FROM cdx_records) SELECT count(*) FROM cdx_records"
    ),
    "a CTE over a table of its name": "WITH cdx_records AS (FROM cdx_records) SELECT count(*) FROM cdx_records",
    "a table before a CTE of its name": (
        "WITH a AS (SELECT count(*) AS n FROM cdx_records), cdx_records AS (SELECT 1 AS n)"
        " SELECT a.n, c.n FROM a, cdx_records c"
    ),
    "a CTE inside, a table outside": (
        "SELECT (WITH cdx_records AS (SELECT 5 AS n) SELECT n FROM cdx_records), count(*) FROM cdx_records"
    ),
    "names in other case": "SELECT count(*) FROM CDX_Records AS R WHERE r.project_id > 0",
    "columns renamed": "SELECT max(b) FROM cdx_records AS t(a, b)",
    "the row as a value": "SELECT count(cdx_records) FROM cdx_records",
    "in EXISTS": "SELECT EXISTS (FROM cdx_records WHERE url = 'http://2/1')",
    "in a list": "SELECT list_sort(ARRAY(SELECT url FROM cdx_records))",
    "an anti join": "SELECT count(*) FROM content_analytics a ANTI JOIN cdx_records c ON a.url = c.url",
    "a full join in brackets": (
        "SELECT count(c.url), count(a.url) FROM (cdx_records c FULL JOIN content_analytics a ON a.url = c.url)"
    ),
    "a positional join": "SELECT count(*) FROM cdx_records POSITIONAL JOIN content_analytics",
    "differences": "SELECT url FROM cdx_records EXCEPT SELECT url FROM content_analytics ORDER BY url",
    "a lateral join": (
        "SELECT sum(n) FROM content_analytics a, LATERAL (SELECT count(*) AS n FROM cdx_records c WHERE c.url = a.url)"
    ),
    "a pivot": "SELECT * FROM cdx_records PIVOT (count(*) FOR project_id IN (1, 2) GROUP BY domain) ORDER BY ALL",
}


def _filled(projects):
    """An engine with both tables and rows of `projects` alone."""
    engine = duckdb.connect()
    for table in TABLES.values():
        columns = ", ".join(f'"{column.name}" {column.lake}' for column in table.columns)
        engine.execute(f"CREATE TABLE {table.name} ({columns})")
    for project in projects:
        for number in range(project + 3):
            engine.execute(
                "INSERT INTO cdx_records (project_id, url, domain) VALUES ($p, $u, 'd')",
                {"p": project, "u": f"http://{project}/{number}"},
            )
            if number:
                engine.execute(
                    "INSERT INTO content_analytics (project_id, url, domain) VALUES ($p, $u, 'd')",
                    {"p": project, "u": f"http://{3 - project}/{number}"},
                )
    return engine


@pytest.fixture(scope="module")
def stores():
    with _filled([1, 2]) as whole, _filled([1]) as only:
        yield whole, only


def _scoped(text):
    return rendered(scope_laid_over(sqlglot.parse_one(text, read="duckdb")), Engine.DUCKDB)


@pytest.mark.parametrize(
    "text",
    [*TRICKY.values(), *(text for name, text in attacks.ALLOWED.items() if name != "a sample")],
    ids=[*TRICKY, *(name for name in attacks.ALLOWED if name != "a sample")],
)
def test_a_scoped_statement_sees_what_a_store_of_its_own_would_show(stores, text):
    whole, only = stores
    statement = _scoped(text)
    values = {SCOPE_PARAMETER: [1]} if SCOPE_PARAMETER in statement else {}
    assert sorted(map(str, whole.execute(statement, values).fetchall())) == sorted(
        map(str, only.execute(text).fetchall())
    )


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_table_of_every_question_is_scoped(question):
    for engine in Engine:
        statement = written(question, engine, scoped=True)
        tree = sqlglot.parse_one(statement, read={"postgres": "postgres"}.get(engine.value, "duckdb"))
        tables = list(tables_read(tree))
        assert tables
        for table in tables:
            around = table.find_ancestor(exp.Select)
            assert SCOPE_PARAMETER in around.args["where"].sql()
            assert isinstance(around.parent, exp.Subquery)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_parameters_stay_placeholders(question):
    names = {name for name in question.params.model_fields if name != "project"}
    for scoped, scope in ((False, set()), (True, {SCOPE_PARAMETER})):
        postgres = written(question, Engine.POSTGRES, scoped=scoped)
        assert {name for name in names | scope if f"%({name})s" in postgres} == names | scope
        duckdb_text = written(question, Engine.DUCKDB, scoped=scoped)
        assert {name for name in names | scope if f"${name}" in duckdb_text} == names | scope
        # The driver reads a percent sign as a placeholder.
        assert postgres.count("%") == postgres.count("%(")


def test_statements_are_written_once():
    question = QUESTIONS["domain_timeline"]
    assert written(question, Engine.DUCKDB, scoped=True) is written(question, Engine.DUCKDB, scoped=True)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_a_past_state_is_asked_of_every_table(question):
    now = list(tables_read(sqlglot.parse_one(question.sql, read="duckdb")))
    for scoped in (False, True):
        then = written(question, Engine.DUCKDB, scoped=scoped, snapshot_id=7)
        assert then.count("AT (VERSION => 7)") == len(now) > 0
