"""The scope laid over statements: what runs sees exactly what it would see if nothing else were stored."""

import importlib.util
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from chronolake.capture.columns import TABLES
from chronolake.errors import SqlRefused
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
    "domains": "SELECT * EXCLUDE (first_seen_at) FROM domains ORDER BY domain",
    "domains renamed": "SELECT max(a), count(*) FROM domains AS t(a, b, c)",
    "domains in other case": "SELECT count(*), min(D.Domain) FROM DOMAINS D",
    "domains that have no capture": (
        "SELECT d.domain FROM domains d LEFT JOIN cdx_records c ON c.domain = d.domain WHERE c.domain IS NULL"
    ),
    "domains in a lateral join": (
        "SELECT count(*) FROM cdx_records c, LATERAL (SELECT * FROM domains d WHERE d.domain <> c.domain)"
    ),
    "names of projects": "SELECT name, id FROM projects ORDER BY ALL",
    "rows of no project": "SELECT count(*), count(project_id) FROM archive_request_attempts",
    "history of no project": "SELECT query_text FROM search_history ORDER BY ALL",
    "entities": "SELECT value, count(*) FROM page_entities GROUP BY ALL ORDER BY ALL",
    "sessions by name": "SELECT p.name, s.state FROM scrape_sessions s JOIN projects p ON p.id = s.project_id",
    "a pivot": "SELECT * FROM cdx_records PIVOT (count(*) FOR project_id IN (1, 2) GROUP BY domain) ORDER BY ALL",
}


def _filled(projects):
    """An engine with every table and rows of `projects` alone; of all of them, rows of no project too."""
    engine = duckdb.connect()
    for table in TABLES.values():
        columns = ", ".join(f'"{column.name}" {column.lake}' for column in table.columns)
        engine.execute(f"CREATE TABLE {table.name} ({columns})")
    for project in projects:
        for number in range(project + 3):
            engine.execute(
                "INSERT INTO cdx_records (project_id, url, domain) VALUES ($p, $u, $d)",
                {"p": project, "u": f"http://{project}/{number}", "d": f"d{number % 2 * project}"},
            )
            if number:
                engine.execute(
                    "INSERT INTO content_analytics (project_id, url, domain) VALUES ($p, $u, 'd0')",
                    {"p": project, "u": f"http://{3 - project}/{number}"},
                )
        engine.execute("INSERT INTO projects (id, name) VALUES ($p, $n)", {"p": project, "n": f"p{project}"})
    for project in projects if len(projects) == 1 else [*projects, None]:
        values = {"p": project, "v": f"v{project}"}
        engine.execute("INSERT INTO page_entities (project_id, value) VALUES ($p, $v)", values)
        engine.execute("INSERT INTO search_history (project_id, query_text) VALUES ($p, $v)", values)
        engine.execute("INSERT INTO archive_request_attempts (project_id, url) VALUES ($p, $v)", values)
        engine.execute("INSERT INTO scrape_sessions (project_id, state) VALUES ($p, $v)", values)
    engine.execute("INSERT INTO domains (domain) SELECT DISTINCT domain FROM cdx_records")
    engine.execute("INSERT INTO metric_samples (metric) VALUES ('of the system')")
    if len(projects) > 1:
        # What others saw, and when.
        engine.execute("INSERT INTO domains (domain) VALUES ('nobodys')")
        engine.execute("UPDATE domains SET first_seen_at = TIMESTAMPTZ '2020-01-01'")
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


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_of_every_table_shows_as_in_a_store_of_its_own(stores, table):
    whole, only = stores
    text = f"SELECT * FROM {table.name} ORDER BY ALL"
    statement = _scoped(text)
    shown = whole.execute(statement, {SCOPE_PARAMETER: [1]})
    assert [name for name, *_ in shown.description] == [column.name for column in table.columns]
    rows = shown.fetchall()
    if table.of_system:
        assert rows == []
    else:
        assert rows == only.execute(text).fetchall()
        assert rows
    assert whole.execute(statement, {SCOPE_PARAMETER: []}).fetchall() == []
    assert len(whole.execute(text).fetchall()) > len(rows)
    # No name is a word that DuckDB keeps for itself.
    assert whole.execute(f"SELECT {', '.join(f'max({c.name})' for c in table.columns)} FROM {table.name}")


def test_when_a_domain_was_first_seen_shows_to_who_may_look_at_everything_only(stores):
    whole, _ = stores
    text = "SELECT count(*), count(first_seen_at), typeof(any_value(first_seen_at)) FROM domains"
    assert whole.execute(text).fetchall() == [(4, 4, "TIMESTAMP WITH TIME ZONE")]
    assert whole.execute(_scoped(text), {SCOPE_PARAMETER: [1]}).fetchall() == [
        (2, 0, "TIMESTAMP WITH TIME ZONE")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "WITH cdx_records AS (SELECT domain, 1 AS project_id FROM domains) SELECT * FROM domains",
        "SELECT * FROM (WITH CDX_Records AS (SELECT 'd2' AS domain, 1 AS project_id) SELECT * FROM domains)",
    ],
)
def test_nothing_stands_in_for_the_captures_that_domains_are_seen_through(text):
    with pytest.raises(SqlRefused, match="name of the table cdx_records"):
        _scoped(text)


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
    # Projects are what the scope is narrowed to; no text names them.
    names = set(question.params.model_fields) - {"project", "projects"}
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
    now = list(tables_read(question.tree))
    for scoped in (False, True):
        then = written(question, Engine.DUCKDB, scoped=scoped, snapshot_id=7)
        assert then.count("AT (VERSION => 7)") == len(now) > 0
