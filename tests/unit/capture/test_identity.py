import uuid
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronolake.capture import identity

TYPES = {
    "archive_source": pa.string(),
    "url_key": pa.string(),
    "timestamp": pa.timestamp("us"),
    "digest": pa.string(),
    "warc_filename": pa.string(),
    "warc_record_offset": pa.int64(),
    "url": pa.string(),
    "status_code": pa.int32(),
    "mime_type": pa.string(),
    "content_length": pa.int64(),
}
MICROS = 1_428_060_153_123_456
CAPTURE = {
    "archive_source": "local",
    "url_key": "com,example)/",
    "timestamp": MICROS,
    "digest": "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
    "warc_filename": "a.warc.gz",
    "warc_record_offset": 7,
    "url": "http://example.com/",
    "status_code": 200,
    "mime_type": "text/html",
    "content_length": 400,
}
UNPLACED = {**CAPTURE, "warc_filename": None}

some_text = st.one_of(
    st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
)
captures = st.fixed_dictionaries(
    {
        "archive_source": st.sampled_from(["wayback", "local"]),
        "url_key": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        "timestamp": st.integers(-(10**17), 253_402_300_799_999_999),
        "digest": some_text,
        "warc_filename": some_text,
        "warc_record_offset": st.one_of(st.none(), st.integers(0, 2**62)),
        "url": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        "status_code": st.one_of(st.none(), st.integers(0, 999)),
        "mime_type": some_text,
        "content_length": st.one_of(st.none(), st.integers(0, 2**62)),
    }
)


def table(rows):
    return pa.table(
        {n: pa.array([r[n] for r in rows], pa.int64() if n == "timestamp" else t) for n, t in TYPES.items()}
    ).cast(pa.schema(TYPES))


@settings(deadline=None)
@given(st.integers(1, 2**31 - 1), st.lists(captures, max_size=10))
def test_a_column_of_ids_is_the_ids_of_its_rows(project_id, rows):
    column = identity.column(project_id, table(rows))
    assert column.to_pylist() == [identity.scalar(project_id, row) for row in rows]


def test_the_id_never_changes():
    # A stored id must be found again by every later version: this value may only change with a migration.
    assert identity.scalar(1, CAPTURE) == uuid.UUID("014c7f04-a523-87fc-ab82-b5d8d9b0e20b")


def test_an_id_is_a_uuid_of_version_8_that_begins_with_the_milliseconds():
    made = identity.scalar(1, CAPTURE)
    assert made.version == 8
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == MICROS // 1000


def test_ids_sort_as_time_does():
    years = [1996, 2001, 2038, 9999]
    ids = [
        identity.scalar(1, {**CAPTURE, "timestamp": int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) * 10**6})
        for y in years
    ]
    assert ids == sorted(ids)


def test_captures_before_1970_sort_first():
    assert identity.scalar(1, {**CAPTURE, "timestamp": -1}).int >> 80 == 0
    assert identity.scalar(1, {**CAPTURE, "timestamp": -1}) != identity.scalar(
        1, {**CAPTURE, "timestamp": -2}
    )


@pytest.mark.parametrize("name", [*identity.ALWAYS, *identity.PLACE])
def test_a_placed_record_is_told_apart_by(name):
    other = {**CAPTURE, name: 8 if isinstance(CAPTURE[name], int) else "other"}
    assert identity.scalar(1, other) != identity.scalar(1, CAPTURE)


@pytest.mark.parametrize("name", identity.ANSWER)
def test_the_answer_tells_apart_only_where_the_place_is_not_known(name):
    changed = {name: 8 if isinstance(CAPTURE[name], int) else "other"}
    assert identity.scalar(1, {**CAPTURE, **changed}) == identity.scalar(1, CAPTURE)
    assert identity.scalar(1, {**UNPLACED, **changed}) != identity.scalar(1, UNPLACED)


def test_projects_do_not_share_ids():
    assert identity.scalar(1, CAPTURE) != identity.scalar(2, CAPTURE)
