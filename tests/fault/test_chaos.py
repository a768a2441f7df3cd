"""Random work while everything breaks: nothing is lost, doubled or stale. `make test-chaos` runs many more seeds."""

import os

import pytest

from chronolake.testing import chaos

#: Seeds that `make test` has time for.
SEEDS = int(os.environ.get("SEEDS", "40"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def test_whatever_breaks_both_stores_end_equal():
    told = []
    tally = chaos.run(range(1, SEEDS + 1), jobs=2, told=told.append)
    assert not tally.failed, "".join(told)
    assert tally.seeds == SEEDS
    # The plan allows 1 % of queries to fail; of so few, one.
    assert tally.query_errors.total() <= max(1, tally.queries // 100), tally.query_errors
