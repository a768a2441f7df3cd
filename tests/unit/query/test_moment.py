"""Times as people write them."""

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronolake.query.moment import EARLIEST, LATEST, end_of, start_of


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2", "2000-01-01T00:00:00", "2999-12-31T23:59:59.999999"),
        ("20", "2000-01-01T00:00:00", "2099-12-31T23:59:59.999999"),
        ("201", "2010-01-01T00:00:00", "2019-12-31T23:59:59.999999"),
        ("0", "0001-01-01T00:00:00", "0999-12-31T23:59:59.999999"),
        ("2014", "2014-01-01T00:00:00", "2014-12-31T23:59:59.999999"),
        ("20140", "2014-01-01T00:00:00", "2014-09-30T23:59:59.999999"),
        ("20141", "2014-10-01T00:00:00", "2014-12-31T23:59:59.999999"),
        ("201402", "2014-02-01T00:00:00", "2014-02-28T23:59:59.999999"),
        ("201602", "2016-02-01T00:00:00", "2016-02-29T23:59:59.999999"),
        ("2014022", "2014-02-20T00:00:00", "2014-02-28T23:59:59.999999"),
        ("20140601", "2014-06-01T00:00:00", "2014-06-01T23:59:59.999999"),
        ("201406012", "2014-06-01T20:00:00", "2014-06-01T23:59:59.999999"),
        ("2014060112", "2014-06-01T12:00:00", "2014-06-01T12:59:59.999999"),
        ("20140601123", "2014-06-01T12:30:00", "2014-06-01T12:39:59.999999"),
        ("20140601123456", "2014-06-01T12:34:56", "2014-06-01T12:34:56.999999"),
        ("2014-06", "2014-06-01T00:00:00", "2014-06-30T23:59:59.999999"),
        ("2014-06-01", "2014-06-01T00:00:00", "2014-06-01T23:59:59.999999"),
        (" 2014-06-01T12 ", "2014-06-01T12:00:00", "2014-06-01T12:59:59.999999"),
        ("2014-06-01 12:34", "2014-06-01T12:34:00", "2014-06-01T12:34:59.999999"),
        ("2014-06-01T12:34:56Z", "2014-06-01T12:34:56", "2014-06-01T12:34:56.999999"),
        ("2014-06-01T12:34:56.25Z", "2014-06-01T12:34:56.250000", "2014-06-01T12:34:56.259999"),
        ("2014-06-01T00:30:00+02:00", "2014-05-31T22:30:00", "2014-05-31T22:30:00.999999"),
        ("2014-06-01T12:34:56-0930", "2014-06-01T22:04:56", "2014-06-01T22:04:56.999999"),
    ],
)
def test_what_is_left_out_is_padded_low_and_high(text, start, end):
    assert start_of(text) == datetime.fromisoformat(start)
    assert end_of(text) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "now", "yesterday", "0000", "201413", "20143", "20140230", "2014023", "2014060124",
        "201406011260", "20140601123460", "201406011234567", "2014-13-01", "2014-W05", "2014/06/01",
        "1.5", "\uff12\uff10\uff11\uff14", "2014-06-01T25:00", "2014-06-01T12:00+25:00", "0001-01-01T00:00+05:00",
        "2014; DROP TABLE cdx_records", "2014\x00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_way_to_write_one(text):
    for read in (start_of, end_of):
        with pytest.raises(ValueError, match=r"write|outside|strictly between"):
            read(text)


def test_datetimes_are_exact_and_dates_are_days():
    exact = datetime(2014, 6, 1, 12, 0, 0, 5)
    assert start_of(exact) == end_of(exact) == exact
    paris = datetime(2014, 6, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert start_of(paris) == datetime(2014, 5, 31, 23)
    assert end_of(date(2014, 6, 1)) == datetime(2014, 6, 1, 23, 59, 59, 999_999)
    with pytest.raises(ValueError, match="outside"):
        start_of(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))


@given(st.datetimes(EARLIEST, LATEST), st.integers(1, 14))
def test_every_prefix_of_a_moment_covers_it(instant, length):
    digits = f"{instant.year:04}{instant:%m%d%H%M%S}"
    assert start_of(digits[:length]) <= instant <= end_of(digits[:length])
