"""How fresh an answer has to be, decided without a lake."""

from datetime import UTC, datetime

import pytest

from chronolake.errors import LakeBehind, ParameterInvalid
from chronolake.query import route
from chronolake.query.freshness import Demand, Freshness

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("min_lsn", "max_lag_s", "lsn", "lag_s", "met"),
    [
        (None, None, None, None, True),
        ("1/10", None, "1/10", 9, True),
        ("1/10", None, "1/F", 0, False),
        # As numbers, not as texts.
        ("0/FFFFFFF0", None, "1/0", 0, True),
        ("0/1", None, None, 0, False),
        (None, "2.5", "0/1", 2.5, True),
        (None, 2, "0/1", 2.6, False),
        (None, 2, "0/1", None, False),
    ],
)
def test_a_demand_is_met_or_says_what_is_in_the_way(min_lsn, max_lag_s, lsn, lag_s, met):
    unmet = Demand.read(min_lsn, max_lag_s).unmet(Freshness(lsn, NOW, lag_s))
    assert (unmet is None) is met


@pytest.mark.parametrize(
    ("min_lsn", "max_lag_s"), [("x", None), ("1", None), (None, "soon"), (None, "-1"), (None, "nan")]
)
def test_what_is_no_lsn_and_no_time_is_refused(min_lsn, max_lag_s):
    with pytest.raises(ParameterInvalid):
        Demand.read(min_lsn, max_lag_s)


def test_postgresql_stands_in_for_a_lake_that_is_behind_and_says_so():
    chosen = route.after_failure(LakeBehind("the lake is 7 s behind, 1 s are allowed"))
    assert (chosen.engine, chosen.code) == (route.Engine.POSTGRES, route.Reason.LAKE_BEHIND)
    assert "7 s behind" in chosen.reason
