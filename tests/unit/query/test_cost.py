"""Which engine is cheaper: estimates from what catalogs note, what runs taught, and the decision as a table."""

from datetime import UTC, datetime

import pytest
import sqlglot

from chronolake.capture.columns import TABLES
from chronolake.clock import ManualClock
from chronolake.lake import Reach
from chronolake.oltp.statistics import Spread, TableStatistics
from chronolake.query import QUESTIONS, cost, route
from chronolake.query.cost import Estimate
from chronolake.query.learned import HALF_LIFE_S, MOST_WEIGHT, Learned
from chronolake.query.route import Costs, Engine, QueryType, Reason
from chronolake.query.scanned import of_question, of_tree

DOMAINS = Spread(10_000, ("big.example", "small.example"), (0.1, 0.004))
TIMES = Spread(
    -1, (), (), ("2010-01-01 00:00:00", "2012-01-01 00:00:00", "2014-01-01 00:00:00", "2016-01-01 00:00:00")
)
CAPTURES = TableStatistics(
    10_000_000,
    (("id",), ("domain", "timestamp", "id")),
    {"domain": DOMAINS, "timestamp": TIMES, "id": Spread(-1)},
)
SESSIONS = TableStatistics(400, (("id",),), {"id": Spread(-1)})
STORED = {"cdx_records": CAPTURES, "scrape_sessions": SESSIONS}
EVER = {"start": datetime(1, 1, 1), "end": datetime(9999, 12, 31, 23, 59, 59)}


def reads(text):
    return of_tree(sqlglot.parse_one(text, read="duckdb"), TABLES).reads


@pytest.mark.parametrize(
    ("value", "share"), [("big.example", 0.1), ("small.example", 0.004), ("other.example", 0.896 / 9998)]
)
def test_a_value_is_as_common_as_the_statistics_say(value, share):
    assert DOMAINS.equal_to(value, 1e7) == pytest.approx(share)


def test_where_no_value_is_common_each_has_an_equal_share():
    assert Spread(-1).equal_to("x", 1000) == pytest.approx(0.001)
    assert Spread(4).equal_to("x", 1000) == 0.25


@pytest.mark.parametrize(
    ("low", "high", "share"),
    [
        ("0001-01-01 00:00:00", "9999-12-31 23:59:59", 1),
        ("2011-01-01 00:00:00", "2013-01-01 00:00:00", 1 / 3),
        ("2012-06-01 00:00:00", "2012-07-01 00:00:00", 0),
        ("2013-01-01 00:00:00", "9999-12-31 23:59:59", 0.5),
        ("2017-01-01 00:00:00", "2018-01-01 00:00:00", 0),
        ("2000-01-01 00:00:00", "2001-01-01 00:00:00", 0),
    ],
)
def test_a_range_holds_as_much_as_the_statistics_say(low, high, share):
    assert TIMES.between(low, high) == pytest.approx(share, abs=0.17)


@pytest.mark.parametrize(
    ("text", "values", "rows", "ms"),
    [
        # All rows, one after the other.
        ("SELECT count(*) FROM cdx_records", {}, 10_000_000, 4001.5),
        # An index leads to the domain's rows; where it has all columns, these are cheaper still.
        ("SELECT url FROM cdx_records WHERE domain = $d", {"d": "small.example"}, 40_000, 49.5),
        ("SELECT timestamp FROM cdx_records WHERE domain = $d", {"d": "small.example"}, 40_000, 13.5),
        ("SELECT url FROM cdx_records WHERE domain = $d", {"d": "other.example"}, 896, 2.6),
        # A domain that half of the table is of is not looked up.
        ("SELECT url FROM cdx_records WHERE domain = $d", {"d": "big.example"}, 1_000_000, 1201.5),
        # A value that was left out leads nowhere.
        ("SELECT url FROM cdx_records WHERE ($d IS NULL OR domain = $d)", {"d": None}, 10_000_000, 4001.5),
        # Nor does a time without a domain before it.
        ('SELECT url FROM cdx_records WHERE "timestamp" BETWEEN $start AND $end', EVER, 10_000_000, 4001.5),
        ("SELECT state FROM scrape_sessions", {}, 400, 1.66),
    ],
)
def test_what_postgresql_would_look_at(text, values, rows, ms):
    found = cost.of_postgres(reads(text), STORED, values)
    assert found.rows == pytest.approx(rows, rel=0.01)
    assert found.ms == pytest.approx(ms, rel=0.02)


def test_a_time_range_narrows_what_the_domain_leads_to():
    text = 'SELECT url FROM cdx_records WHERE domain = $d AND "timestamp" BETWEEN $start AND $end'
    values = {"d": "small.example", "start": datetime(2012, 1, 1), "end": datetime(2013, 12, 31)}
    assert 0 < cost.of_postgres(reads(text), STORED, values).rows < 25_000
    assert cost.of_postgres(reads(text), STORED, values | EVER).rows == 40_000


def test_a_table_that_is_not_known_has_no_price():
    assert cost.of_postgres(reads("SELECT page_id FROM content_analytics"), STORED, {}) is None


def test_the_lake_looks_at_all_rows_of_the_files_that_it_opens():
    pinned = reads("SELECT url FROM cdx_records WHERE domain = $d")
    one, all_ = [Reach(1, 625_000, 40_000_000)], [Reach(17, 10_000_000, 600_000_000)]
    small = cost.of_lake(pinned, one, {"d": "small.example"})
    assert small.rows == 625_000
    assert 10 < small.ms < 30
    assert cost.of_lake(pinned, all_, {"d": None}).ms > 10 * small.ms
    # No rows cost what a statement costs.
    assert cost.of_lake(pinned, [Reach(0, 0, 0)], {"d": "small.example"}).ms < 10


@pytest.mark.parametrize(
    ("lake_ms", "postgres_ms", "rows", "cheap_rows", "free", "engine"),
    [
        (17, 3, 400, 100_000, True, "postgres"),
        (6.6, 2.7, 400, 100_000, True, "postgres"),
        # The lake is cheaper, or as good as.
        (17, 53, 41_000, 100_000, True, "duckdb"),
        (17, 17, 41_000, 100_000, True, "duckdb"),
        (69.6, 58.5, 41_000, 100_000, True, "duckdb"),
        (17, 13.1, 41_000, 100_000, True, "postgres"),
        # Two thirds of a millisecond are no gain.
        (2.0, 1.3, 400, 100_000, True, "duckdb"),
        # More rows than are nothing to PostgreSQL, however cheap they look.
        (900, 80, 100_001, 100_000, True, "duckdb"),
        (900, 80, 100_000, 100_000, True, "postgres"),
        # It computes as many questions as it may.
        (17, 3, 400, 100_000, False, "duckdb"),
        # Switched off.
        (17, 3, 400, 0, True, "duckdb"),
    ],
)
def test_the_choice(lake_ms, postgres_ms, rows, cheap_rows, free, engine):
    lake = route.choose(QueryType.AGGREGATION, asked=None, lake_off=None)
    costs = Costs(lake_ms, postgres_ms, rows)
    chosen = route.by_cost(lake, costs, cheap_rows=cheap_rows, postgres_is_free=free)
    assert chosen.engine == engine
    assert chosen.code is (Reason.CHEAPER if engine == "postgres" else Reason.ANALYTIC)
    assert str(costs) in chosen.reason


def test_the_reason_tells_both_prices():
    lake = route.choose(QueryType.AGGREGATION, asked=None, lake_off=None)
    chosen = route.by_cost(lake, Costs(17.2, 2.7, 400), cheap_rows=1000, postgres_is_free=True)
    assert chosen.reason == "cheaper: lake about 17 ms, postgres about 3 ms"
    chosen = route.by_cost(lake, Costs(20, 12_345, 10**7), cheap_rows=1000, postgres_is_free=True)
    assert chosen.reason.endswith("(lake about 20 ms, postgres about 12 s)")


LAKE, POSTGRES = Engine.DUCKDB, Engine.POSTGRES
ESTIMATES = {LAKE: Estimate(17.0, 625_000), POSTGRES: Estimate(14.0, 41_000)}


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def learned(clock):
    return Learned(clock)


def ms(learned, question="coverage_gaps", estimates=ESTIMATES):
    found = learned.corrected(question, estimates)
    return found[LAKE].ms, found[POSTGRES].ms


def test_without_a_run_estimates_stand(learned):
    assert ms(learned) == (17.0, 14.0)


def test_runs_put_a_wrong_estimate_right(learned):
    for _ in range(4):
        learned.note("coverage_gaps", LAKE, ESTIMATES[LAKE], 12.7)
        learned.note("coverage_gaps", POSTGRES, ESTIMATES[POSTGRES], 21.1)
    assert ms(learned) == pytest.approx((12.7, 21.1), rel=0.1)
    # Another question, and another size of the same, are not its business.
    assert ms(learned, "coverage") == (17.0, 14.0)
    larger = {LAKE: Estimate(170.0, 6_250_000), POSTGRES: Estimate(140.0, 410_000)}
    assert ms(learned, estimates=larger) == (170.0, 140.0)
    # Within a size it is told in times, not in milliseconds.
    near = {LAKE: Estimate(20.0, 700_000), POSTGRES: Estimate(15.0, 43_000)}
    assert ms(learned, estimates=near) == pytest.approx((20 * 12.7 / 17, 15 * 21.1 / 14), rel=0.1)


def test_what_one_engine_taught_holds_half_for_the_other(learned):
    learned.note("status_mime", LAKE, ESTIMATES[LAKE], 17.0 * 16)
    lake_ms, postgres_ms = ms(learned, "status_mime")
    assert lake_ms / 17.0 > postgres_ms / 14.0 > 1.5


def test_a_first_run_with_cold_caches_is_not_believed_for_long(learned):
    learned.note("scraping_efficiency", POSTGRES, ESTIMATES[POSTGRES], 14.0 * 100)
    assert ms(learned, "scraping_efficiency")[1] < 14.0 * 3
    for _ in range(4):
        learned.note("scraping_efficiency", POSTGRES, ESTIMATES[POSTGRES], 14.0 * 20)
    assert ms(learned, "scraping_efficiency")[1] > 14.0 * 10


def test_what_is_told_of_other_processes_is_not_believed_whole(learned):
    for _ in range(8):
        learned.note("scraping_efficiency", POSTGRES, ESTIMATES[POSTGRES], 14.0 * 100, told=True)
    assert 14.0 * 2 < ms(learned, "scraping_efficiency")[1] < 14.0 * 4.1


def test_a_record_fades_and_the_newest_runs_count_most(learned, clock):
    for _ in range(100):
        learned.note("q", POSTGRES, ESTIMATES[POSTGRES], 140.0)
    slow = ms(learned, "q")[1]
    assert slow > 100
    clock.sleep(HALF_LIFE_S * 10)
    assert ms(learned, "q")[1] == pytest.approx(14.0, rel=0.05)
    learned.note("q", POSTGRES, ESTIMATES[POSTGRES], 140.0)
    for _ in range(int(MOST_WEIGHT) * 3):
        learned.note("q", POSTGRES, ESTIMATES[POSTGRES], 14.0)
    assert ms(learned, "q")[1] == pytest.approx(14.0, rel=0.15)


def test_one_run_that_hung_does_not_decide_for_long(learned):
    for _ in range(8):
        learned.note("q", LAKE, ESTIMATES[LAKE], 17.0)
    learned.note("q", LAKE, ESTIMATES[LAKE], 60_000.0)
    assert ms(learned, "q")[0] < 40


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_question_has_a_price(question):
    stored = {table.postgres_table: CAPTURES for table in TABLES.values()}
    statement = of_question(question, scoped=True)
    values = dict.fromkeys(question.params.model_fields) | {"domain": "small.example"} | EVER
    reaches = [Reach(1, 1000, 1000)] * len(statement.reads)
    assert cost.of_postgres(statement.reads, stored, values).ms > 0
    assert cost.of_lake(statement.reads, reaches, values).ms > 0
