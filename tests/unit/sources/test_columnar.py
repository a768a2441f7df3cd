"""The columnar index: what a query wants of it, and which bytes that costs."""

import json
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronolake.capture.attempt import Outcome
from chronolake.errors import ArchiveQueryInvalid, SourceUnavailable
from chronolake.sources import crawls
from chronolake.sources.answer import Answer, Unusable
from chronolake.sources.columnar.footer import Chunk
from chronolake.sources.columnar.outline import Outline, Outlines, Span
from chronolake.sources.columnar.row_group import GAP_BYTES, MOST_BYTES, fetches
from chronolake.sources.columnar.source import Place
from chronolake.sources.columnar.wanted import Wanted
from chronolake.sources.query import Match, Query
from chronolake.sources.ranged import told, told_from

KEYS = [
    "com,example)/", "com,example)/a", "com,example)/a/b", "com,example)/ab", "com,example,www2)/", "com,example,a,b)/x",
    "com,example:81)/", "com,example-shop)/", "com,examples)/", "com,exampl)/", "com)/", "net,example)/",
]  # fmt: skip
CASES = {
    ("example.com", Match.DOMAIN): {0, 1, 2, 3, 4, 5},
    ("http://www.example.com/a", Match.DOMAIN): {0, 1, 2, 3, 4, 5},
    ("example.com", Match.HOST): {0, 1, 2, 3},
    ("example.com/a", Match.EXACT): {1},
    ("example.com/a", Match.PREFIX): {1, 2, 3},
    ("example.com/a/", Match.PREFIX): {2},
    ("b.a.example.com", Match.DOMAIN): {5},
    ("com", Match.DOMAIN): {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
}


@pytest.mark.parametrize(("asked", "found"), CASES.items(), ids=str)
def test_the_keys_that_a_query_wants(asked, found):
    text, match = asked
    wanted = Wanted.of(Query.parse(text, match=match))
    kept = wanted.matches_key(pa.array([*KEYS, None], pa.string())).to_pylist()
    assert {number for number, keep in enumerate(kept) if keep} == found
    # A row group of that one key alone may hold what is wanted, if and only if it does.
    for number, key in enumerate(KEYS):
        assert wanted.may_hold_keys(key.encode(), key.encode()) == (number in found), key


@given(st.lists(st.sampled_from(KEYS), min_size=1), st.sampled_from(list(CASES)))
def test_a_row_group_is_never_passed_over_that_holds_what_is_wanted(keys, asked):
    text, match = asked
    wanted = Wanted.of(Query.parse(text, match=match))
    if any(wanted.matches_key(pa.array(keys, pa.string())).to_pylist()):
        assert wanted.may_hold_keys(min(keys).encode(), max(keys).encode())
        # Statistics may be cut short: the least key down, the greatest up.
        assert wanted.may_hold_keys(min(keys)[:3].encode(), max(keys)[:3].encode() + b"\xff")


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("url:.*/b", ["http://a/b"]),
        ("url:http://a/.", ["http://a/b", "http://a/\n"]),
        ("!url:.*/b|x", ["http://a/\n", "http://a/bc", None]),
        # In Python this would take longer than anybody lives.
        (r"url:(?:[a-z/:]+)+\d", []),
    ],
)
def test_filters_keep_what_matches_as_a_whole_in_linear_time(pattern, kept):
    urls = ["http://a/b", "http://a/\n", "http://a/bc", None, "a" * 10_000]
    (kept_by,) = Wanted.of(Query.parse("a.example", filters=(pattern,))).filters
    found = [url for url, keep in zip(urls, kept_by.matches(pa.array(urls)).to_pylist(), strict=True) if keep]
    assert [url for url in found if url != urls[-1]] == kept


@pytest.mark.parametrize("pattern", ["url:(", r"url:(a)\1", "url:a(?=b)"])
def test_what_re2_does_not_know_is_refused(pattern):
    with pytest.raises(ArchiveQueryInvalid, match="no regular expression"):
        Wanted.of(Query.parse("a.example", filters=(pattern,)))


def test_outlines_that_cannot_be_kept_cost_requests_only(tmp_path):
    path = f"part-00000-{'-'.join(['0' * 8, *['0' * 4] * 3, '0' * 12])}.c000.parquet"
    outline = Outline((Span(7, "com,a)/", "com,z)/", None, None),))
    (tmp_path / "file").write_text("in the way")
    lost = Outlines(tmp_path / "file")
    lost.keep("CC-MAIN-2025-33", path, outline)
    assert lost.of("CC-MAIN-2025-33") == {}
    kept = Outlines(tmp_path / "folder")
    kept.keep("CC-MAIN-2025-33", path, outline)
    # One that a kill cut short takes no other with it.
    with (tmp_path / "folder" / "CC-MAIN-2025-33.jsonl").open("a") as file:
        file.write('["cut')
    kept.keep("CC-MAIN-2025-33", f"x{path}", outline)
    assert kept.of("CC-MAIN-2025-33") == {path: outline, f"x{path}": outline}


@pytest.mark.parametrize("entry", [{}, {"id": 5}, {"id": "CC-MAIN-2025-33", "from": 2025}, "CC-MAIN-2025-33"])
def test_a_list_of_crawls_is_one_of_texts(entry):
    with pytest.raises(Unusable, match="list of crawls"):
        crawls.listed(answer(200, json.dumps([entry]).encode()))


def test_the_times_that_a_query_wants():
    wanted = Wanted.of(Query.parse("example.com", start="2020", end="2020"))
    year = [datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]
    first, last = (int(at.timestamp()) * 10**6 - at.year % 2 for at in year)
    assert wanted.may_hold_times(first, first)
    assert wanted.may_hold_times(last, last)
    assert not wanted.may_hold_times(first - 1, first - 1)
    assert not wanted.may_hold_times(last + 1, last + 1)
    assert wanted.may_hold_times(first - 1, last + 1)
    assert Wanted.of(Query.parse("example.com")).may_hold_times(first, first)


MB = 1 << 20


def chunks(*spans):
    return [Chunk(f"c{first}", first, beyond) for first, beyond in spans]


def test_the_requests_that_bring_columns():
    small = fetches([chunks((4, 100)), chunks((300, 400), (500, 600))])
    assert [(fetch.first, fetch.beyond, len(fetch.columns)) for fetch in small] == [(4, 600, 3)]
    key, others = (4, 10 * MB), [(10 * MB, 20 * MB), (20 * MB + 5, 30 * MB), (40 * MB, 42 * MB)]
    large = fetches([chunks(key), chunks(*others)])
    assert [(fetch.first, fetch.beyond) for fetch in large] == [key, (10 * MB, 30 * MB), (40 * MB, 42 * MB)]
    huge = fetches([chunks((4, 4 + 2 * MOST_BYTES + 1))])
    assert [(fetch.beyond - fetch.first, len(fetch.columns)) for fetch in huge] == [
        (MOST_BYTES, 0), (MOST_BYTES, 0), (1, 1),
    ]  # fmt: skip


@given(st.lists(st.lists(st.tuples(st.integers(1, 3 * MB), st.integers(1, 80 * MB)), min_size=1, max_size=6),
                min_size=1, max_size=3))  # fmt: skip
def test_each_column_is_fetched_once_and_whole_before_it_counts(stages):
    place, laid = 4, []
    for stage in stages:
        laid.append([])
        for gap, size in stage:
            laid[-1].append(Chunk(f"c{place}", place + gap, place + gap + size))
            place += gap + size
    wanted = fetches(laid)
    assert sorted(name for fetch in wanted for name in fetch.columns) == sorted(
        chunk.column for stage in laid for chunk in stage
    )
    got = []
    for fetch in wanted:
        assert 0 < fetch.beyond - fetch.first <= max(MOST_BYTES, GAP_BYTES)
        got.append((fetch.first, fetch.beyond))
        for chunk in (chunk for stage in laid for chunk in stage if chunk.column in fetch.columns):
            covering = sorted(span for span in got if span[0] < chunk.beyond and span[1] > chunk.first)
            assert covering[0][0] <= chunk.first
            assert covering[-1][1] >= chunk.beyond
            assert all(one[1] >= other[0] for one, other in pairwise(covering))


def test_a_place_is_read_as_it_was_written():
    for place in (Place("CC-MAIN-2025-33"), Place("CC-MAIN-2025-33", "cc-index/a=b/part-0.parquet", 7)):
        assert Place.of(str(place)) == place
    for text in ("a b", "a b c", "a b 1 2", "a b -1"):
        with pytest.raises(SourceUnavailable, match="no place"):
            Place.of(text)


def answer(status, body, **headers):
    found = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Answer("http://a.example/", status, found, BytesIO(body), len(body))


def test_what_an_answer_to_a_range_says_of_itself():
    found = told_from(answer(206, b"abc", content_range="bytes 5-7/10"), 5)
    assert (found.first, found.file_size) == (5, 10)
    assert told(answer(206, b"abc", content_range="bytes 5-7/*")).file_size is None
    assert told(answer(404, b"")) is None
    slow = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    for status, body, header, outcome in (
        (200, b"abc", {}, Outcome.MALFORMED),
        (206, b"abc", {}, Outcome.MALFORMED),
        (206, b"abc", {"content_range": "bytes 6-8/10"}, Outcome.MALFORMED),
        (206, b"ab", {"content_range": "bytes 5-7/10"}, Outcome.TRUNCATED),
        (503, slow, {}, Outcome.THROTTLED),
        (403, slow, {}, Outcome.THROTTLED),
    ):
        with pytest.raises(Unusable) as raised:
            told_from(answer(status, body, **header), 5)
        assert raised.value.outcome is outcome
    # How long it says itself, and a no is a no.
    assert told(answer(503, slow, retry_after="7")) is None
    assert told(answer(403, b"<Code>AccessDenied</Code>")) is None
