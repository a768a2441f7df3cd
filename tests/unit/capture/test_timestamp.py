from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chronolake.capture import timestamp


def instant(text: str) -> datetime | None:
    parsed = timestamp.parse(text)
    return parsed and datetime(1970, 1, 1) + timedelta(microseconds=parsed.micros)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20150403112233", datetime(2015, 4, 3, 11, 22, 33)),
        ("19700101000000", datetime(1970, 1, 1)),
        ("19531231235959", datetime(1953, 12, 31, 23, 59, 59)),
        ("20000229000000", datetime(2000, 2, 29)),
        ("2015-04-03T11:22:33Z", datetime(2015, 4, 3, 11, 22, 33)),
        ("2015-04-03 11:22:33", datetime(2015, 4, 3, 11, 22, 33)),
        ("20150403T112233Z", datetime(2015, 4, 3, 11, 22, 33)),
        ("2015-04-03T11:22:33+02:00", datetime(2015, 4, 3, 9, 22, 33)),
        ("2015-04-03T11:22:33-0530", datetime(2015, 4, 3, 16, 52, 33)),
        ("2015-04-03T11:22:33.25Z", datetime(2015, 4, 3, 11, 22, 33, 250_000)),
        ("201504031122337", datetime(2015, 4, 3, 11, 22, 33, 700_000)),
        ("20150403112233045", datetime(2015, 4, 3, 11, 22, 33, 45_000)),
        (" 20150403112233 ", datetime(2015, 4, 3, 11, 22, 33)),
    ],
)
def test_whole_timestamps_are_read_without_a_note(text, expected):
    assert instant(text) == expected
    assert timestamp.parse(text).raw is None
    assert not timestamp.parse(text).repaired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013", datetime(2013, 1, 1)),
        ("201306", datetime(2013, 6, 1)),
        ("2013-06", datetime(2013, 6, 1)),
        ("20130609", datetime(2013, 6, 9)),
        ("2013060917", datetime(2013, 6, 9, 17)),
        ("201306091744", datetime(2013, 6, 9, 17, 44)),
        ("2013-06-09T17:44Z", datetime(2013, 6, 9, 17, 44)),
        ("2013-06-09T17:44:05.123456789Z", datetime(2013, 6, 9, 17, 44, 5, 123_456)),
    ],
)
def test_partial_and_overlong_timestamps_are_fitted_and_the_text_kept(text, expected):
    assert instant(text) == expected
    assert timestamp.parse(text).raw == text
    assert not timestamp.parse(text).repaired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A 00 inserted before the month.
        ("20010011150326", datetime(2001, 11, 15, 3, 26)),
        # A 00 inserted before the day, hour apparently 24 or more.
        ("20000008241731", datetime(2000, 8, 24, 17, 31)),
        ("20010900241112", datetime(2001, 9, 24, 11, 12)),
        # Nothing is known below the month.
        ("20161100000000", datetime(2016, 11, 1)),
        ("20160000000000", datetime(2016, 1, 1)),
        # The day is good, the time of day is not.
        ("20091130415214", datetime(2009, 11, 30)),
        ("20091130236614", datetime(2009, 11, 30, 23)),
        ("20091130235960", datetime(2009, 11, 30, 23, 59)),
        ("2009-11-30T24:00:00Z", datetime(2009, 11, 30)),
    ],
)
def test_damaged_timestamps_are_repaired_and_say_so(text, expected):
    assert instant(text) == expected
    assert timestamp.parse(text).raw == text
    assert timestamp.parse(text).repaired


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "f00dcafe00000000deadbeef00000000",
        "20150431000000",
        "20151301000000",
        "20150000990000",
        "00000101000000",
        "2015040",
        "201",
        "1428060153000",
        "999999999999999999999999",
        "2015-02-30",
        "2015-04-03+02:00",
        "yesterday",
        "\uff12015040311223\uff13",
    ],
)
def test_what_is_no_date_is_none_and_never_now(text):
    assert timestamp.parse(text) is None


def test_a_column_tells_null_from_instants_and_keeps_what_was_repaired():
    column = timestamp.parse_all(pa.array(["20150403112233", None, "-", "20010011150326", "2015"]))
    assert column.timestamp.to_pylist() == [
        datetime(2015, 4, 3, 11, 22, 33),
        None,
        None,
        datetime(2001, 11, 15, 3, 26),
        datetime(2015, 1, 1),
    ]
    assert column.raw.to_pylist() == [None, None, None, "20010011150326", "2015"]
    assert column.repaired.to_pylist() == [False, False, False, True, False]


def test_a_sliced_column_reads_its_own_rows():
    column = pa.array(["20150403112233", "20160101000000", "20170101000000"]).slice(1, 1)
    assert timestamp.parse_all(column).timestamp.to_pylist() == [datetime(2016, 1, 1)]


def test_empty_column():
    column = timestamp.parse_all(pa.array([], pa.string()))
    assert len(column.timestamp) == len(column.raw) == len(column.repaired) == 0


two = st.integers(0, 99).map("{:02}".format)
fourteen = st.tuples(st.integers(0, 9999).map("{:04}".format), two, two, two, two, two)
valid = st.datetimes(timezones=st.just(UTC))
texts = st.one_of(
    fourteen.map("".join),
    fourteen.map(lambda p: f"{p[0]}-{p[1]}-{p[2]}T{p[3]}:{p[4]}:{p[5]}Z"),
    valid.map(lambda at: f"{at.year:04}{at:%m%d%H%M%S}"),
    valid.map(lambda at: at.isoformat()),
    st.text(alphabet="0123456789-:TZ+. ", max_size=26),
    st.none(),
)


@settings(deadline=None)
@given(st.lists(texts, max_size=20))
@example(["20150403116033", "20150403112260", "20150403242233", "00000403112233", "20150400112233"])
@example(["20150403112233", "20150403112299", "99991231235959", "20150229000000", "2015-02-29T00:00:00Z"])
def test_a_column_is_parsed_as_each_text_is(values):
    column = timestamp.parse_all(pa.array(values, pa.string()))
    expected = [None if value is None else timestamp.parse(value) for value in values]
    micros = column.timestamp.view(pa.int64()).to_pylist()
    assert micros == [parsed and parsed.micros for parsed in expected]
    assert column.raw.to_pylist() == [parsed and parsed.raw for parsed in expected]
    assert column.repaired.to_pylist() == [bool(parsed and parsed.repaired) for parsed in expected]


@settings(deadline=None)
@given(valid.map(lambda at: at.replace(microsecond=0)))
def test_every_date_survives_being_written_and_read(at):
    assert instant(f"{at.year:04}{at:%m%d%H%M%S}") == at.replace(tzinfo=None)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00"])
def test_an_offset_that_leads_out_of_the_calendar_is_no_date(text):
    assert timestamp.parse(text) is None
