"""Where a statement reads a table, and from which of its files: told from its text alone."""

import pytest
import sqlglot

from chronolake.capture.columns import TABLES
from chronolake.query import QUESTIONS
from chronolake.query.scanned import of_question, of_tree
from chronolake.query.text import scope_laid_over


def scanned(text, *, scoped=False):
    tree = sqlglot.parse_one(text, read="duckdb")
    return of_tree(scope_laid_over(tree) if scoped else tree, TABLES)


@pytest.mark.parametrize("scoped", [False, True])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_question_has_a_gap_for_each_table_it_reads(question, scoped):
    found = of_question(question, scoped=scoped)
    assert len(found.parts) == len(found.reads) + 1
    filled = found.over([f"(FILES OF {read.table})" for read in found.reads])
    assert filled.count("(FILES OF ") == len(found.reads) > 0
    assert "chronolake_gap" not in filled
    if "domain" in question.params.model_fields and question.params.model_fields["domain"].is_required():
        assert "domain" in {read.pinned for read in found.reads}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM cdx_records WHERE domain = $domain",
        "SELECT url FROM cdx_records AS c WHERE c.domain = $domain AND status_code = 200",
        "SELECT url FROM cdx_records WHERE (CAST($domain AS VARCHAR) IS NULL OR domain = $domain) AND status_code > 0",
    ],
)
@pytest.mark.parametrize("scoped", [False, True])
def test_a_domain_that_all_rows_must_have_is_seen(text, scoped):
    (read,) = scanned(text, scoped=scoped).reads
    assert read.pinned == "domain"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM cdx_records",
        "SELECT count(*) FROM cdx_records WHERE domain = $domain OR status_code = 200",
        "SELECT count(*) FROM cdx_records WHERE domain <> $domain",
        "SELECT count(*) FROM cdx_records WHERE host = $domain",
        "SELECT count(*) FROM cdx_records WHERE ($other IS NULL OR domain = $domain)",
        "SELECT c.url FROM cdx_records AS c JOIN projects AS p ON p.id = c.project_id WHERE domain = $domain",
        "SELECT n FROM (SELECT count(*) AS n FROM cdx_records) AS a WHERE domain = $domain",
        "SELECT domain FROM (SELECT domain FROM cdx_records LIMIT 5) AS a WHERE domain = $domain",
        "SELECT domain FROM (SELECT domain FROM cdx_records GROUP BY domain) AS a WHERE domain = $domain",
    ],
)
def test_where_rows_of_other_domains_count_all_files_are_read(text):
    assert [read.pinned for read in scanned(text).reads if read.table == "cdx_records"] == [None]


def test_a_value_that_was_left_out_wants_all_files():
    found = scanned("SELECT 1 FROM cdx_records WHERE ($domain IS NULL OR domain = $domain)")
    assert [wanted.bucket_of for wanted in found.wanted({"domain": None})] == [None]
    assert [wanted.bucket_of for wanted in found.wanted({"domain": "a.example"})] == ["a.example"]


def test_columns_are_those_that_the_statement_names():
    (read,) = scanned("SELECT count(DISTINCT url) FROM cdx_records AS c WHERE c.domain = 'a'").reads
    assert set(read.columns) == {"url", "domain"}
