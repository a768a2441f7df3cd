"""Which parts of a statement can be computed domain by domain, and which cannot."""

import pytest
import sqlglot

from chronolake.query import QUESTIONS
from chronolake.query.moment import EARLIEST, LATEST, start_of
from chronolake.query.params import Interval
from chronolake.query.rollup import blocks, shaped
from chronolake.query.rollup.chain import chains

OPEN = {"start": EARLIEST, "end": LATEST, "domain": None}
URLS = "SELECT domain, url_key, count(*) AS n FROM cdx_records GROUP BY domain, url_key"


def found(ctes, values=OPEN):
    """The chains of a statement with these CTEs, which are given as one text."""
    tree = sqlglot.parse_one(f"WITH {ctes} SELECT 1", read="duckdb")
    return chains(shaped(tree, values), values)


@pytest.mark.parametrize(
    "query",
    [
        URLS,
        "SELECT domain, url_key FROM cdx_records",
        "SELECT DISTINCT domain, digest FROM cdx_records",
        "SELECT DISTINCT ON (domain, url_key) domain, url_key FROM cdx_records ORDER BY domain, url_key, digest",
        "SELECT domain, lag(digest) OVER (PARTITION BY domain, url_key ORDER BY digest) AS was FROM cdx_records",
        f"{URLS} UNION ALL {URLS}",
        f"{URLS} HAVING count(*) > 1",
        "SELECT url_key, domain FROM cdx_records WHERE status_code = 200 AND timestamp BETWEEN $start AND $end",
        "SELECT domain FROM cdx_records WHERE ($domain IS NULL OR domain = $domain)",
        "SELECT 1 AS one, domain FROM cdx_records GROUP BY 2",
    ],
)
def test_what_stays_within_a_domain_is_a_chain(query):
    chain = found(f"a AS ({query})")["a"]
    assert chain.by == "domain"
    assert [name for name, _ in chain.ctes] == ["a"]
    assert "$" not in chain.ctes[0][1]


@pytest.mark.parametrize(
    "query",
    [
        # Rows of several domains are brought together.
        "SELECT url_key, min(domain) AS domain FROM cdx_records GROUP BY url_key",
        "SELECT domain, lag(digest) OVER (PARTITION BY url_key ORDER BY digest) AS was FROM cdx_records",
        "SELECT domain, lag(digest) OVER (ORDER BY domain) AS was FROM cdx_records",
        "SELECT DISTINCT ON (url_key) domain, url_key FROM cdx_records ORDER BY url_key",
        "SELECT domain, url_key FROM cdx_records ORDER BY url_key LIMIT 5",
        "SELECT domain, url_key FROM cdx_records LIMIT 5",
        "SELECT max(domain) AS domain FROM cdx_records",
        "SELECT a.domain FROM cdx_records AS a JOIN cdx_records AS b ON a.url_key = b.url_key",
        f"{URLS} UNION ALL SELECT url_key, domain, 1 AS n FROM cdx_records",
        f"{URLS} UNION ALL {URLS} LIMIT 5",
        # The domain is not shown, or something else under its name.
        "SELECT url_key FROM cdx_records",
        "SELECT domain AS name FROM cdx_records",
        "SELECT lower(domain) AS domain FROM cdx_records",
        "SELECT host AS domain FROM cdx_records",
        # What is looked up is of any domain.
        "SELECT domain FROM cdx_records WHERE url_key IN (SELECT url_key FROM cdx_records)",
        "SELECT domain FROM cdx_records WHERE EXISTS (SELECT 1 FROM cdx_records WHERE status_code = 200)",
        "SELECT domain, (SELECT max(url_key) FROM cdx_records) AS most FROM cdx_records",
        # Other sums for each value.
        "SELECT domain FROM cdx_records WHERE status_code = $status",
        "SELECT domain FROM cdx_records WHERE timestamp >= $start",
        "SELECT domain, digest = $digest AS same FROM cdx_records",
        "SELECT domain FROM cdx_records TABLESAMPLE 10%",
        "SELECT domain FROM other",
    ],
)
def test_what_looks_beyond_a_domain_is_none(query):
    assert found(f"a AS ({query})", OPEN | {"status": 200, "digest": "x"}) == {}


def test_a_range_of_time_that_is_not_open_makes_other_sums():
    query = "a AS (SELECT domain FROM cdx_records WHERE timestamp BETWEEN $start AND $end)"
    assert found(query)
    assert not found(query, OPEN | {"start": start_of("2014")})


def test_the_domain_is_pinned_in_each_reading_or_in_none():
    pinned, plain = (f"SELECT domain FROM cdx_records{where}" for where in (" WHERE domain = $domain", ""))
    values = OPEN | {"domain": "a.example"}
    assert (
        found(f"a AS ({pinned} UNION ALL {pinned})", values)["a"].pinned.sql(dialect="duckdb")
        == "domain = $domain"
    )
    assert found(f"a AS ({plain} UNION ALL {plain})", values)["a"].pinned is None
    assert not found(f"a AS ({pinned} UNION ALL {plain})", values)
    looked_up = "SELECT domain FROM cdx_records WHERE (domain, url_key) IN (SELECT domain, url_key FROM {})"
    both = f"a AS ({pinned.replace('domain F', 'domain, url_key F')}), b AS ({looked_up.format('a')})"
    assert set(found(both, values)) == {"a"}
    same = both.replace("WHERE (domain, url_key)", "WHERE domain = $domain AND (domain, url_key)")
    assert set(found(same, values)) == {"a", "b"}


def test_what_is_looked_up_is_of_the_same_domain():
    text = "a AS (SELECT domain, url_key FROM cdx_records), b AS (SELECT domain FROM cdx_records WHERE {})"
    assert set(found(text.format("(url_key, domain) IN (SELECT url_key, domain FROM a)"))) == {"a", "b"}
    assert set(found(text.format("domain IN (SELECT domain FROM a)"))) == {"a", "b"}
    assert set(found(text.format("(url_key, domain) IN (SELECT domain, url_key FROM a)"))) == {"a"}
    assert set(found(text.format("url_key IN (SELECT url_key FROM a)"))) == {"a"}


def test_chains_follow_one_another_and_name_what_they_read():
    second = "SELECT domain, sum(n) AS n FROM a GROUP BY domain"
    assert [name for name, _ in found(f"a AS ({URLS}), x AS ({URLS}), b AS ({second})")["b"].ctes] == [
        "a",
        "b",
    ]
    # A part that is none is no ground for another.
    assert set(found(f"a AS (SELECT url_key AS domain, 1 AS n FROM cdx_records), b AS ({second})")) == set()
    # Under the table's own name it would be taken for the table.
    assert found(f"cdx_records AS ({URLS}), b AS (SELECT domain FROM cdx_records)") == {}


def test_cells_of_one_project_are_told_apart_in_every_step():
    ctes = (
        f"a AS ({URLS}), b AS (SELECT DISTINCT ON (domain) domain, n, lag(n) OVER (PARTITION BY domain) AS was"
        " FROM a WHERE (domain, n) IN (SELECT domain, n FROM a) ORDER BY domain)"
    )
    (_, first), (_, second) = found(ctes)["b"].told_apart_by("project_id")
    assert first.endswith("GROUP BY domain, url_key, project_id")
    assert "DISTINCT ON (domain, project_id)" in second
    assert "PARTITION BY domain, project_id" in second
    assert "(domain, n, project_id) IN (SELECT domain, n, project_id FROM a)" in second


@pytest.mark.parametrize(
    "name",
    [
        "change_rate",
        "link_rot",
        "redirects",
        "rotten_urls",
        "source_overlap",
        "status_mime",
        "survival_curve",
    ],
)
def test_the_catalogue_is_computed_domain_by_domain(name):
    values = OPEN | {"domain": "a.example", "interval": Interval.MONTH, "limit": 5}
    question = QUESTIONS[name]
    kept = [block for block in blocks(shaped(question.tree, values), values) if block.chain]
    assert len(kept) == 1
