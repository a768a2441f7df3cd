import re

import duckdb
import pytest
import sqlglot

from chronolake.bench.questions import QUESTIONS, fingerprint

DIALECTS = ("duckdb", "postgres", "clickhouse")


def parsed(question, dialect):
    """The one statement of a text; sqlglot does not know psycopg's parameters."""
    return sqlglot.parse_one(question.sql(dialect).replace("%(domain)s", ":domain"), dialect=dialect)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_statement_is_one_select_with_a_sentence_before_it(question, dialect):
    text = question.sql(dialect)
    assert re.match(r"-- [A-Z].*\.\n", text)
    # psycopg reads a lone percent sign as the beginning of a parameter, in comments too.
    assert not re.search(r"%(?!\(domain\)s)", text)
    assert isinstance(parsed(question, dialect), sqlglot.exp.Select)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_dialects_give_the_same_columns_and_the_checked_ones_are_among_them(question):
    columns = [
        sqlglot.parse_one(
            question.sql(dialect).replace("%(domain)s", ":domain"), dialect=dialect
        ).named_selects
        for dialect in DIALECTS
    ]
    assert columns[0] == columns[1] == columns[2]
    assert set(question.checked) < set(columns[0])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_only_the_question_for_a_domain_takes_one(question):
    markers = {"duckdb": "$domain", "postgres": "%(domain)s", "clickhouse": "{domain:String}"}
    assert all((marker in question.sql(name)) is question.by_domain for name, marker in markers.items())


def test_fingerprints_tell_rows_and_sums_and_take_null_for_nothing():
    rows = [{"captures": 2, "bytes": None}, {"captures": 3, "bytes": 7}]
    assert fingerprint(rows, ("captures", "bytes")) == (2, 5, 7)
    assert fingerprint([], ("captures",)) == (0, 0)


def test_the_p95_is_the_smallest_size_that_95_in_100_do_not_exceed():
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE cdx_records AS SELECT 'generated' AS archive_source, 200 AS status_code,"
            " range AS content_length FROM range(1, 21)"
        )
        question = next(question for question in QUESTIONS if question.name == "source_status")
        assert connection.execute(question.sql("duckdb")).fetchall() == [("generated", 200, 20, 210, 19)]
