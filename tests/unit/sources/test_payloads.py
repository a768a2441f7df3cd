"""Payloads without a network: codings undone, records taken apart, digests compared."""

import gzip
import hashlib
import io
import zlib
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from chronolake.capture import surt
from chronolake.capture.candidate import Candidate
from chronolake.errors import InputUnreadable
from chronolake.sources.local import read_captures
from chronolake.sources.local.record import read_record
from chronolake.sources.payloads import NotFetched, Unfetched
from chronolake.sources.payloads.coding import dechunked, undo
from chronolake.sources.payloads.kept import Kept, digest_of, fetched, kept_of
from chronolake.testing.warc import WarcFile, chunked

URL = "http://www.example.com/a?b=1"
BODY = "<p>Füchse jagen nachts.</p>".encode() * 40
MOST = 1 << 20


def candidate(url=URL, **more):
    known = {
        "id": UUID(int=7),
        "project_id": 1,
        "archive_source": "local",
        "url": url,
        "url_key": surt.key(url),
        "domain": "example.com",
        "timestamp": datetime(2020, 1, 2, 3, 4, 5),
    }
    return Candidate(**known | more)


PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    "DEFLATE": zlib.compress(BODY, wbits=-15),
    "br": brotli.compress(BODY),
    "zstd": zstandard.compress(BODY),
    "identity": BODY,
    "": BODY,
    "nobody-knows": BODY,
    "gzip, br": brotli.compress(gzip.compress(BODY)),
}


@pytest.mark.parametrize("coding", PACKED)
def test_codings_are_undone(coding):
    assert undo(PACKED[coding], coding, MOST).body == BODY
    # What is said to be packed and is not stays as it is.
    assert undo(BODY, coding, MOST).body == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_comes_out_is_bounded_and_a_broken_end_is_told(coding):
    pack = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
    }
    zeros = pack[coding](bytes(30 << 20))
    assert len(zeros) < 1 << 16
    found = undo(zeros, coding, MOST)
    assert (len(found.body), found.cut, found.damage) == (MOST, True, None)
    noise = bytes(hashlib.sha256(str(n).encode()).digest()[0] for n in range(4096))
    half = undo(pack[coding](noise)[:-3], coding, MOST)
    assert noise.startswith(half.body)
    if coding != "zstd":
        assert half.damage


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_chunks_are_undone(body, size):
    assert dechunked(chunked(body, size)).body == body


def test_chunks_that_break_off_or_are_none():
    cut = dechunked(chunked(BODY)[:500])
    assert BODY.startswith(cut.body)
    assert len(cut.body) > 300
    assert cut.damage
    assert dechunked(BODY).body == BODY
    # Line ends as LF alone, an extension, and a trailer.
    assert dechunked(b"3;x=y\nabc\n0\nTrailer: 1\n\n").body == b"abc"


@given(st.binary(max_size=300), st.text(st.characters(codec="ascii"), max_size=20))
def test_any_bytes_and_any_coding_end(body, coding):
    for name in (coding, "gzip", "deflate", "br", "zstd"):
        assert len(undo(body, name, 50).body) <= 50
    dechunked(body)


@pytest.mark.parametrize("packed", [True, False])
def test_a_record_is_read_where_the_reader_of_captures_says_that_it_lies(packed, tmp_path):
    file = WarcFile(packed=packed)
    for number in range(5):
        file.add(f"{URL}{number}", f"2020010203040{number}", BODY + str(number).encode())
    path = tmp_path / "a.warc.gz"
    path.write_bytes(file.data)
    [batch] = read_captures([str(path)], max_line_bytes=1 << 20, batch_rows=100)
    rows = batch.table.to_pylist()
    assert [int(row["offset"]) for row in rows] == [written.offset for written in file.written]
    for number, row in enumerate(rows):
        record = read_record(io.BytesIO(file.data[int(row["offset"]) :]), "a", MOST)
        assert (record.url, record.status, record.damage, record.cut) == (row["url"], "200", None, False)
        assert record.body == BODY + str(number).encode()
        assert read_record(io.BytesIO(file.data[int(row["offset"]) :]), "a", 10).body == BODY[:10]


def test_one_gzip_member_for_all_records_gives_a_place_to_the_first_only(tmp_path):
    file = WarcFile(packed=False)
    for number in range(3):
        file.add(f"{URL}{number}", "20200102030405", BODY)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(file.data))
    [batch] = read_captures([str(path)], max_line_bytes=1 << 20, batch_rows=100)
    assert [row["offset"] for row in batch.table.to_pylist()] == ["0", None, None]


ARC = b"http://www.example.com/a?b=1 1.2.3.4 20200102030405 text/html %d\n%b\n"


def test_an_arc_record_is_read_too():
    block = b"HTTP/1.0 200 OK\nContent-Type: text/html\n\n" + BODY
    record = read_record(io.BytesIO(gzip.compress(ARC % (len(block), block))), "a.arc.gz", MOST)
    kept = kept_of(record, candidate())
    assert (kept.body, kept.fields["content-type"]) == (BODY, "text/html")
    bare = read_record(io.BytesIO(ARC % (len(BODY), BODY)), "a.arc", MOST)
    assert kept_of(bare, candidate()).fields == {"content-type": "text/html"}


@pytest.mark.parametrize(
    "data",
    [b"", b"nothing of the kind", b"WARC/1.0\r\nWARC-Type: response\r\n", gzip.compress(b"WARC/1.0\r\n", mtime=0)[:12],
     b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 17\r\n\r\nHTTP/1.1 200 OK\r\n"],
)  # fmt: skip
def test_what_is_no_record_is_told(data):
    with pytest.raises(InputUnreadable):
        read_record(io.BytesIO(data), "a", MOST)


def record(body, **more):
    file = WarcFile()
    written = file.add(URL, "20200102030405", body, **more)
    return read_record(io.BytesIO(file.data), "a", MOST), candidate(
        digest=written.digest, digest_algorithm="sha1"
    )


SENT = {
    "plain": (BODY, ()),
    "chunked": (chunked(BODY), ("Transfer-Encoding: chunked",)),
    "packed": (gzip.compress(BODY), ("Content-Encoding: gzip",)),
    "both": (chunked(gzip.compress(BODY)), ("Content-Encoding: gzip", "Transfer-Encoding: chunked")),
    "said and not done": (BODY, ("Content-Encoding: br", "Transfer-Encoding: chunked")),
}


@pytest.mark.parametrize("way", SENT)
def test_a_payload_is_what_the_server_meant_and_its_digest_holds(way):
    sent, header = SENT[way]
    found, wanted = record(sent, header=("Content-Type: text/html; charset=ISO-8859-1", *header))
    got = fetched(wanted, kept_of(found, wanted), MOST)
    assert (got.payload.body, got.cut, got.differs) == (BODY, False, None)
    assert (got.payload.mime_sent, got.payload.charset_sent) == ("text/html", "ISO-8859-1")
    assert not got.payload.truncated
    assert (got.payload.capture_id, got.payload.url) == (wanted.id, URL)
    # Tools compute it over the body with its codings or without.
    for body in (sent, dechunked(sent).body, BODY):
        for algorithm in ("sha1", "sha256", "md5"):
            one = replace(wanted, digest=digest_of(algorithm, body), digest_algorithm=algorithm)
            assert fetched(one, kept_of(found, one), MOST).differs is None


def test_another_digest_is_told_and_one_of_an_unknown_kind_believed():
    found, wanted = record(BODY)
    other = replace(wanted, digest="A" * 32)
    assert "A" * 32 in fetched(other, kept_of(found, other), MOST).differs
    for believed in (replace(other, digest_algorithm="crc"), replace(other, digest=None)):
        assert fetched(believed, kept_of(found, believed), MOST).differs is None
    # Of a part there is nothing to compare.
    assert fetched(replace(other, truncated="length"), kept_of(found, other), MOST).differs is None


def test_a_part_is_told_as_one():
    found, wanted = record(BODY, header=(f"Content-Length: {len(BODY) + 5}",))
    assert fetched(wanted, kept_of(found, wanted), MOST).payload.truncated
    found, wanted = record(BODY, more=("WARC-Truncated: length",))
    assert fetched(wanted, kept_of(found, wanted), MOST).payload.truncated
    cut = fetched(wanted, Kept(fields={}, body=BODY), 100)
    assert (cut.payload.body, cut.cut) == (BODY[:100], True)


def test_a_record_of_another_url_or_without_a_body_is_none_of_the_captures():
    found, _ = record(BODY)
    with pytest.raises(NotFetched) as raised:
        kept_of(found, candidate("http://www.example.org/"))
    assert raised.value.reason is Unfetched.OTHER_RECORD
    # The same resource in another spelling is the same.
    assert kept_of(found, candidate("https://example.com/A?b=1")).body == BODY
    revisit, wanted = record(b"", record_type="revisit")
    with pytest.raises(NotFetched):
        kept_of(revisit, wanted)
