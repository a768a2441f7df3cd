"""The search history's statements read what they need by time, not the whole table."""

from datetime import UTC, datetime, timedelta

import pytest

from chronolake.oltp import searches
from chronolake.oltp.statements import statement

NOW = datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture
def conn(database):
    """A history of 30 days with 20 000 questions, of which those that were read from rollups are few."""
    with database.connection() as opened:
        opened.execute(
            "INSERT INTO search_history (question, query_text, reason, elapsed_ms, project_count, rollups, searched_at)"
            " SELECT 'q' || n %% 7, '{}', 'analytic', 1000, nullif(n %% 4, 0), CASE WHEN n %% 100 = 0 THEN 'a,b' END,"
            " %s - n * interval '30 days' / 20000 FROM generate_series(1, 20000) AS n",
            [NOW],
        )
        opened.execute("ANALYZE search_history")
        yield opened


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "searches_forget",
            {"before": NOW - timedelta(days=29), "interval": timedelta(hours=1), "most": 10_000},
        ),
        ("searches_counted", {"since": NOW - timedelta(days=1), "most": 500}),
        ("searches_rollups_read", {"since": NOW - timedelta(days=1)}),
    ],
)
def test_what_was_asked_is_found_by_its_time(conn, name, values):
    plan = "\n".join(row[0] for row in conn.execute(b"EXPLAIN " + statement(name), values))
    assert "search_history_time_idx" in plan
    assert "Seq Scan on search_history" not in plan


def test_questions_are_counted_by_text_and_by_how_many_projects(conn):
    found = searches.counted(conn, NOW - timedelta(days=1))
    assert {(each.question, each.project_count) for each in found} == {
        (f"q{number}", projects) for number in range(7) for projects in (None, 1, 2)
    }
    assert sum(each.times for each in found) == pytest.approx(sum(each.seconds for each in found))
    assert [each.seconds for each in found] == sorted((each.seconds for each in found), reverse=True)
    assert searches.rollups_read(conn, NOW - timedelta(days=1)) == {"a", "b"}
    assert searches.rollups_read(conn, NOW) == set()


def test_old_questions_go_some_at_a_time(conn, monkeypatch):
    monkeypatch.setattr(searches, "FORGOTTEN_AT_ONCE", 100)
    before = NOW - timedelta(days=29)
    assert searches.forget(conn, before) == 100
    assert searches.forget(conn, before, at_once=True) == 100
    left = conn.execute("SELECT count(*) FROM search_history WHERE searched_at < %s", [before]).fetchone()
    assert left[0] > 400
