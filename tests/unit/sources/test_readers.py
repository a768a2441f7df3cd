"""Each format and each trap, by a small example of our own."""

import bz2
import gzip
import io
import json
import os
import tracemalloc
import zipfile
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from chronolake.capture.record import RAW_SCHEMA
from chronolake.errors import FormatUnknown, InputUnreadable
from chronolake.sources.local import Remark, cdx, count_records, expand, read_captures
from chronolake.sources.local.inputs import Source
from chronolake.sources.local.lines import BLOCK_BYTES, blocks
from chronolake.sources.local.raw import Rows, text_of

LEGEND = " CDX N b a m s k r M S V g\n"
COLUMNS = cdx.legend_of(LEGEND)
ELEVEN = "com,a)/ 20200102030405 http://a.com/ text/html 200 DIGEST - - 10 20 f.warc.gz\n"
SEVEN = "com,a)/ 20200102030405 http://a.com/ text/html 200 DIGEST 10\n"


def read(path, *, max_line_bytes=1 << 20, **more):
    rows, rejected, formats = [], [], set()
    for batch in read_captures([str(path)], max_line_bytes=max_line_bytes, batch_rows=1000, **more):
        assert batch.table.schema == RAW_SCHEMA
        rows += batch.table.to_pylist()
        rejected += [(rejection.position, rejection.reason.value) for rejection in batch.rejected]
        formats.add(batch.format)
    return sorted(rows, key=lambda row: row["position"]), rejected, formats


@pytest.fixture
def written(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def some(row, *names):
    return tuple(row[name] for name in names)


CDX = {
    "eleven": (LEGEND + ELEVEN, ("com,a)/", "http://a.com/", "200", "10", "20", "f.warc.gz")),
    "eleven without legend": (ELEVEN, ("com,a)/", "http://a.com/", "200", "10", "20", "f.warc.gz")),
    "ten": (
        " CDX N b a m s k r M V g\n" + ELEVEN.replace(" 10 20", " 20"),
        ("com,a)/", "http://a.com/", "200", None, "20", "f.warc.gz"),
    ),
    "nine": (
        "com,a)/ 20200102030405 http://a.com/ text/html 200 DIGEST - 20 f.arc.gz\n",
        ("com,a)/", "http://a.com/", "200", None, "20", "f.arc.gz"),
    ),
    "seven": (SEVEN, ("com,a)/", "http://a.com/", "200", "10", None, None)),
    "sixteen": (
        " CDX A b e a m s c k r V v D d g M n\n"
        "a.com/ 20200102030405 1.2.3.4 a.com:80/ text/html 200 md5 DIGEST - 20 21 22 23 f.arc - 10\n",
        ("a.com/", "a.com:80/", "200", "10", "20", "f.arc"),
    ),
    "netarchive": (
        "http://a.com/ 1.2.3.4 20200102030405 text/html 10 f.arc 20 00112233445566778899aabbccddeeff\n",
        (None, "http://a.com/", None, "10", "20", "f.arc"),
    ),
    "key and date": (" CDX N b\ncom,a)/ 20200102030405\n", ("com,a)/", None, None, None, None, None)),
}


@pytest.mark.parametrize("name", CDX)
def test_cdx_by_its_legend_or_number_of_fields(name, written):
    content, expected = CDX[name]
    rows, rejected, _ = read(written(content))
    assert rejected == []
    assert [some(row, "url_key", "url", "status", "length", "offset", "filename") for row in rows] == [
        expected
    ]
    assert rows[0]["timestamp"] == "20200102030405"


JSON = {
    "pywb": ('com,a)/ 20200102030405 {"url": "http://a.com/", "mime": "text/html", "status": "200"}\n', "cdxj"),
    "key with braces": ('com,a)/?q={"x":1} 20200102030405 {"url": "http://a.com/", "mime": "text/html", "status": 200}\n', "cdxj"),
    "common crawl": (
        'com,a)/ 20200102030405 {"url": "http://a.com/", "mime": "text/html", "mime-detected": "x", "status": "200"}\n',
        "commoncrawl-cdxj",
    ),
    "openwayback": (
        '!OpenWayback-CDXJ 1.0\n(com,a,)/ 2020-01-02T03:04:05Z response {"uri":"http://a.com/","hsc":200,"mct":"text/html"}\n',
        "cdxj",
    ),
    "api lines": (
        '{"urlkey": "com,a)/", "timestamp": "20200102030405", "url": "http://a.com/", "mime": "text/html", "status": "200"}\n',
        "commoncrawl-jsonl",
    ),
    "wayback array": (
        '[["original","timestamp","mimetype","statuscode"],\n["http://a.com/","20200102030405","text/html","200"],\n[],\n["com%2Ca"]]\n',
        "wayback-json",
    ),
    "wayback array on one line": (
        '[["original","timestamp","mimetype","statuscode"],["http://a.com/","20200102030405","text/html","200"],[],["com%2Ca"]]',
        "wayback-json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json_in_all_its_forms(name, written):
    content, expected = JSON[name]
    rows, rejected, formats = read(written(content))
    assert (rejected, formats) == ([], {expected})
    assert [some(row, "url", "status", "mime_type") for row in rows] == [
        ("http://a.com/", "200", "text/html")
    ]


def test_ipwb_has_no_url_and_openwayback_a_record_type_and_reference(written):
    rows, _, _ = read(
        written('!meta {"x": 1}\ncom,a)/ 20200102030405 {"locator": "x", "status_code": "200"}\n')
    )
    assert some(rows[0], "url", "url_key", "status") == (None, "com,a)/", "200")
    line = 'com,a)/ 2020-01-02T03:04:05Z revisit {"uri":"http://a.com/","ref":"warcfile:b.warc.gz#77"}\n'
    rows, _, _ = read(written(line))
    assert some(rows[0], "record_type", "filename", "offset") == ("revisit", "b.warc.gz", "77")


def test_common_crawl_tells_charset_languages_and_crawl(written):
    fields = {"url": "http://a.com/", "encoding": "UTF-8", "languages": "eng", "truncated": "length",
              "filename": "crawl-data/CC-MAIN-2025-33/x.warc.gz", "timestamp": "20200102030405"}  # fmt: skip
    rows, _, _ = read(written(json.dumps(fields) + "\n"))
    assert some(rows[0], "charset", "languages", "truncated", "crawl") == (
        "UTF-8",
        "eng",
        "length",
        "CC-MAIN-2025-33",
    )


def test_a_timemap_of_mementos(written):
    document = {
        "original_uri": "http://a.com/",
        "mementos": {"list": [{"datetime": "2020-01-02T03:04:05Z", "uri": "x"}]},
    }
    rows, _, _ = read(written(json.dumps(document)))
    assert [some(row, "url", "timestamp") for row in rows] == [("http://a.com/", "2020-01-02T03:04:05Z")]


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "zstd"],
)
def test_compression_is_told_by_content_and_may_have_members(compress, written):
    rows, rejected, _ = read(written(compress((LEGEND + ELEVEN).encode()) + compress(ELEVEN.encode())))
    assert (len(rows), rejected) == (2, [])


def test_members_of_a_zipnum_index_are_not_glued_together(written):
    members = [
        gzip.compress(ELEVEN.rstrip("\n").encode() + b"\n" + ELEVEN.rstrip("\n").encode()) for _ in range(3)
    ]
    rows, rejected, _ = read(written(b"".join(members)))
    assert (len(rows), rejected) == (6, [])


def test_a_file_that_ends_too_early_gives_what_it_has(written):
    whole = gzip.compress(
        (LEGEND + "".join(ELEVEN.replace("com,a", f"com,{n:08d}") for n in range(5000))).encode()
    )
    rows, rejected, _ = read(written(whole[: len(whole) // 2]))
    assert 0 < len(rows) < 5000
    assert [reason for _, reason in rejected] == ["truncated"]


def test_odd_lines_among_good_ones(written):
    content = (
        LEGEND
        + ELEVEN
        + SEVEN
        + ELEVEN.replace("http://a.com/", "http://a.com/with a space")
        + "one\n"
        + LEGEND
        + ELEVEN.replace("\n", "\r\n")
        + "\n"
        + ELEVEN.rstrip("\n")
    )
    rows, rejected, _ = read(written(content))
    assert [row["position"] for row in rows] == [2, 3, 4, 7, 9]
    assert rows[2]["url"] == "http://a.com/with a space"
    assert rows[3]["filename"] == "f.warc.gz"
    assert rejected == [(5, "fields")]


def test_bytes_that_are_not_utf8_survive(written):
    line = ELEVEN.encode().replace(b"http://a.com/", b"http://a.com/\xe9cole")
    rows, _, _ = read(written(LEGEND.encode() + line))
    assert rows[0]["url"] == "http://a.com/%E9cole"
    assert rows[0]["raw_line"] == line.rstrip(b"\n")


def test_a_resume_key_is_no_capture(written):
    rows, rejected, _ = read(written(SEVEN + "\ncom%2Ca%29%2F+20191218145126\n"))
    assert (len(rows), rejected) == (1, [])


def test_a_line_beyond_the_limit_is_rejected_unheld(written):
    content = LEGEND + ELEVEN + "x" * 100_000 + "\n" + ELEVEN
    rows, rejected, _ = read(written(content), max_line_bytes=1000)
    assert ([row["position"] for row in rows], rejected) == ([2, 4], [(3, "too_long")])


def test_json_that_does_not_parse_is_rejected(written):
    good = 'com,a)/ 20200102030405 {"url": "http://a.com/"}\n'
    rows, rejected, _ = read(written(good + "com,a)/ 20200102030405 {broken\n" + "no json\n" + good))
    assert (len(rows), rejected) == (2, [(2, "json"), (3, "fields")])


def warc(*records, newline=b"\r\n"):
    out = b""
    for kind, uri, body, *more in records:
        head = [b"WARC/1.0", b"WARC-Type: " + kind, b"WARC-Target-URI: " + uri, b"WARC-Date: 2020-01-02T03:04:05Z",
                *more, b"Content-Length: %d" % len(body)]  # fmt: skip
        out += newline.join([*head, b"", b""]) + body + newline * 2
    return out


HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /x\r\n\r\nhello"
RECORDS = [
    (b"warcinfo", b"-", b"software: x\r\n"),
    (b"response", b"<http://a.com/>", HTTP, b"WARC-Payload-Digest: sha1:ABC", b"WARC-IP-Address: 1.2.3.4"),
    (b"request", b"http://a.com/", b"GET / HTTP/1.1\r\n\r\n"),
    (b"revisit", b"http://a.com/b c", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    (b"resource", b"http://a.com/r", b"plain"),
]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("packed", [False, True])
def test_warc_records_that_hold_captures(written, newline, packed):
    data = warc(*RECORDS, newline=newline)
    rows, rejected, _ = read(written(gzip.compress(data) if packed else data, "x.warc"))
    assert rejected == []
    assert [some(row, "record_type", "url", "status") for row in rows] == [
        ("response", "http://a.com/", "200"),
        ("revisit", "http://a.com/b c", "304"),
        ("resource", "http://a.com/r", None),
    ]
    first = rows[0]
    assert some(first, "mime_type", "charset", "digest", "ip", "redirect_url", "filename") == (
        "text/html", "utf-8", "sha1:ABC", "1.2.3.4", "/x", "x.warc",
    )  # fmt: skip


def test_a_warc_with_a_wrong_length_goes_on_with_the_next_record(written):
    data = warc(RECORDS[1]).replace(b"Content-Length: %d" % len(HTTP), b"Content-Length: 3") + warc(
        RECORDS[4]
    )
    rows, _, _ = read(written(data))
    assert [row["record_type"] for row in rows] == ["response", "resource"]


def test_arc_of_both_versions(written):
    header = b"1 0 Example\nURL IP-address Archive-date Content-type Archive-length\n\n"
    data = b"filedesc://x.arc 0.0.0.0 20200102030405 text/plain %d\n" % len(header) + header
    data += b"http://a.com/ 1.2.3.4 20200102030405 text/html %d\n" % len(HTTP) + HTTP + b"\n"
    data += b"http://a.com/2 1.2.3.4 20200102030405 text/html 200 - - 0 x.arc %d\n" % len(HTTP) + HTTP + b"\n"
    data += b"dns:a.com 1.2.3.4 20200102030405 text/dns -1\n\n"
    rows, rejected, _ = read(written(data))
    assert rejected == []
    assert [some(row, "url", "status", "record_type") for row in rows] == [
        ("http://a.com/", "200", "response"),
        ("http://a.com/2", "200", "response"),
        ("dns:a.com", None, "dns"),
    ]


def test_wacz_is_read_by_its_warc_files(tmp_path):
    path = tmp_path / "x.wacz"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("datapackage.json", "{}")
        bundle.writestr("archive/data.warc.gz", gzip.compress(warc(*RECORDS)))
    assert len(read(path)[0]) == 3
    with path.open("rb") as stdin:
        batches = read_captures(["-"], max_line_bytes=1000, batch_rows=10, stdin=stdin)
        assert sum(batch.read for batch in batches) == 3


@pytest.mark.parametrize("old", [False, True])
def test_common_crawls_columnar_index(tmp_path, old):
    columns = {
        "url": ["http://a.com/"],
        "url_surtkey": ["com,a)/"],
        "fetch_time": pa.array([datetime(2020, 1, 2, 3, 4, 5)], pa.timestamp("ms")),
        "fetch_status": pa.array([200], pa.int16()),
        "warc_filename": ["crawl-data/CC-MAIN-2017-04/x.warc.gz"],
    }
    if not old:
        columns |= {"content_languages": ["eng"], "fetch_redirect": ["http://b.com/"]}
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path)
    rows, _, _ = read(path)
    assert some(rows[0], "url", "timestamp", "status", "crawl", "languages") == (
        "http://a.com/", "20200102030405", "200", "CC-MAIN-2017-04", None if old else "eng",
    )  # fmt: skip


REFUSED = {
    "picture": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" * 100,
    "table": b"name,count\na,1\nb,2\n",
    "page": b"<!doctype html><title>Not found</title>",
    "message": b'{"message": "No Captures found for: a.com"}',
    "blocked": b"org.archive.util.io.RuntimeIOException: Blocked Site Error\n",
    "zip": b"PK\x03\x04" + b"\0" * 100,
    "parquet": b"PAR1" + b"\0" * 100,
    "object": b'{"a": 1}',
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_index_is_refused_by_name(name, written):
    with pytest.raises((FormatUnknown, InputUnreadable), match=name) as caught:
        read(written(REFUSED[name], name))
    assert caught.value.hint


def test_missing_empty_and_forbidden_files_say_so(tmp_path, written):
    with pytest.raises(InputUnreadable, match="does not exist"):
        read(tmp_path / "nothing")
    with pytest.raises(InputUnreadable, match="is empty"):
        read(written(b""))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputUnreadable, match="no files in it"):
        read(tmp_path / "folder")
    path = written(ELEVEN, "secret")
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(InputUnreadable):
            read(path)
    finally:
        if root:
            os.seteuid(0)


def test_one_bad_file_hides_no_other(tmp_path, written):
    written(ELEVEN, "a.cdx")
    written(REFUSED["picture"], "b.jpg")
    written(SEVEN, "c.txt")
    errors = []
    rows, _, _ = read(tmp_path, on_error=errors.append)
    assert (len(rows), len(errors)) == (2, 1)


def test_folders_globs_and_standard_input(tmp_path, written):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.cdx").write_text(ELEVEN)
    path = written(ELEVEN, "a.cdx")
    assert len(expand([str(tmp_path)])) == 2
    assert [file.path for file in expand([str(tmp_path / "*.cdx"), str(path)])] == [str(path)]
    [batch] = list(
        read_captures(["-"], max_line_bytes=1000, batch_rows=10, stdin=io.BytesIO(ELEVEN.encode()))
    )
    assert batch.read == 1


LINE = st.one_of(
    st.just(ELEVEN.rstrip("\n").encode()),
    st.just(SEVEN.rstrip("\n").encode()),
    st.just(LEGEND.rstrip("\n").encode()),
    st.sampled_from([b"", b" ", b"CDX N b a", b" CDX N b a m s k r M V g", b"a%00b\0 c", b"\xe9 b", b"key"]),
    st.lists(st.text("ab\"',\\-1é ", max_size=4), min_size=1, max_size=14).map(" ".join).map(str.encode),
)


def one_by_one(data):
    """The rows of a block, each line read on its own."""
    rows = Rows("x")
    columns = COLUMNS
    blank = False
    for number, line in enumerate(data.split(b"\n"), start=1):
        text = text_of(line.removesuffix(b"\r"))
        columns = cdx.legend_of(text) or columns
        if not (blank and text.strip() and " " not in text.strip()):
            rows.add(number, line, cdx.parse(text, columns))
        blank = not text.strip()
    return rows, columns


@settings(max_examples=500, deadline=None)
@given(
    st.lists(LINE, min_size=1, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from([0, 16, 400]),
)
def test_a_block_taken_apart_gives_what_its_lines_give(lines, line_end, ended, regular):
    lines = [*lines, *([ELEVEN.rstrip("\n").encode()] * regular)]
    data = line_end.join(lines) + (line_end if ended else b"")
    rows = Rows("x")
    if not data:
        return
    table, columns = cdx.take_apart(data, 1, COLUMNS, rows)
    wanted, wanted_columns = one_by_one(data)
    tables = [rows.table()] if table is None else [table, rows.table()]
    assert pa.concat_tables(tables).sort_by("position").to_pylist() == wanted.table().to_pylist()
    assert sorted(rows.rejected, key=lambda r: r.position) == wanted.rejected
    assert columns == wanted_columns


def test_a_few_odd_lines_leave_a_block_to_arrow():
    regular = ELEVEN.encode() * 100
    data = regular + b"\n" + b"one\xe9 bad line\n" + regular
    rows = Rows("x")
    table, _ = cdx.take_apart(data, 1, COLUMNS, rows)
    assert table is not None
    assert table.num_rows == 200
    assert table["position"].to_pylist() == [*range(1, 101), *range(103, 203)]
    assert [rejection.position for rejection in rows.rejected] == [102]


def wacz(path, *members):
    """A WACZ file without compression, so that bytes of its members can be changed in place."""
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in members:
            bundle.writestr(name, data)
    return path


def encrypted(data):
    """The ZIP file with the flag of encryption on its first member."""
    local, central = data.find(b"PK\3\4"), data.find(b"PK\1\2")
    changed = bytearray(data)
    changed[local + 6] |= 1
    changed[central + 8] |= 1
    return bytes(changed)


def test_an_encrypted_member_of_a_wacz_hides_no_other(tmp_path):
    path = wacz(tmp_path / "x.wacz", ("archive/a.warc", warc(*RECORDS)), ("archive/b.warc", warc(*RECORDS)))
    path.write_bytes(encrypted(path.read_bytes()))
    errors = []
    rows, _, _ = read(path, on_error=errors.append)
    assert len(rows) == 3
    assert [type(error) for error in errors] == [InputUnreadable]
    assert "x.wacz" in str(errors[0])
    assert "archive/a.warc" in str(errors[0])


def test_a_member_of_a_wacz_with_a_bad_checksum_is_told(tmp_path):
    path = wacz(tmp_path / "x.wacz", ("archive/a.warc", warc(*RECORDS)), ("archive/b.warc", warc(*RECORDS)))
    path.write_bytes(path.read_bytes().replace(b"hello", b"hullo", 1))
    errors = []
    rows, _, _ = read(path, on_error=errors.append)
    assert len(rows) == 3
    assert "archive/a.warc: reading failed: Bad CRC-32" in str(errors[0])


def test_a_member_of_a_wacz_whose_compression_is_damaged_is_told(tmp_path):
    path = tmp_path / "x.wacz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("archive/a.warc", warc(*RECORDS))
    data = bytearray(path.read_bytes())
    data[60:120] = b"\xff" * 60
    path.write_bytes(data)
    with pytest.raises(InputUnreadable, match=r"archive/a\.warc"):
        read(path)


def test_halves_of_surrogate_pairs_in_json_end_nothing(written):
    reference = '"ref": "warcfile:\\ud800.warc.gz#77"'
    rows, _, _ = read(written('com,a)/ 20200102030405 {"url": "http://a.com/\\udfff", ' + reference + "}\n"))
    assert some(rows[0], "url", "filename", "offset") == ("http://a.com/\ufffd", "\ufffd.warc.gz", "77")
    with pytest.raises(FormatUnknown) as caught:
        read(written('{"message": "\\ud800"}'))
    assert str(caught.value).encode()


def test_json_that_is_nested_too_deep_is_refused(written):
    for opened in ("[", '{"a":'):
        with pytest.raises(FormatUnknown):
            read(written(opened * 10_000))


ODD_NAME = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "content",
    [
        warc(*RECORDS, (b"response", b"http://a.com/", b"")),
        warc(*RECORDS) + b"WARC/1.0\r\nno end",
        b"filedesc://x.arc 0.0.0.0 20200102030405 text/plain 0\n\n"
        b"http://a.com/ 1.2.3.4 20200102030405 text/html 5\nhello\n",
        LEGEND.encode() + ELEVEN.encode() + b"one\n",
    ],
    ids=["warc", "truncated", "arc", "cdx"],
)
def test_a_files_name_that_is_not_utf8_is_percent_encoded(content, written):
    path = written(content, ODD_NAME)
    for batch in read_captures([str(path)], max_line_bytes=1000, batch_rows=10):
        assert batch.file.endswith("/caf%E9")
        assert {rejection.file for rejection in batch.rejected} <= {batch.file}
        assert set(batch.table["filename"].to_pylist()) <= {"caf%E9", "f.warc.gz"}


def test_a_file_with_an_odd_name_that_cannot_be_read_is_told_by_a_printable_one(tmp_path, written):
    paths = [
        tmp_path / ODD_NAME,
        written(b"", ODD_NAME + "empty"),
        written(b"PAR1" + b"\0" * 99, ODD_NAME + "p"),
    ]
    for path in paths:
        with pytest.raises(InputUnreadable, match="caf%E9") as caught:
            read(path)
        assert str(caught.value).encode()


def test_a_wacz_of_an_odd_name_and_member_names_in_no_known_text(tmp_path):
    path = wacz(tmp_path / "x.wacz", ("archive/é.warc", warc(*RECORDS)))
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(InputUnreadable, match=r"x\.wacz"):
        read(path)


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_length_of_too_many_digits_is_none(digits, written):
    broken = warc(RECORDS[1]).replace(b"Content-Length: ", b"Content-Length: " + b"9" * digits)
    rows, _, _ = read(written(broken + warc(RECORDS[4])))
    assert [row["record_type"] for row in rows] == ["response", "resource"]


def index_of(**columns):
    return pa.table({"url": ["http://a.com/"], "fetch_time": ["20200102030405"]} | columns)


@pytest.mark.parametrize(
    "table",
    [
        index_of(content_digest=[["a", "b"]]),
        index_of(url=[{"a": 1}]),
        index_of(url=[b"\xff"]),
        index_of(url=pa.array([b"\xff"]).view(pa.string())),
        index_of().append_column("url", pa.array(["http://b.com/"])),
    ],
    ids=["list", "struct", "binary", "not UTF-8", "twice"],
)
def test_an_index_in_parquet_with_columns_of_another_kind_is_refused_by_name(table, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    with pytest.raises(InputUnreadable, match=r"x\.parquet"):
        read(path)


def test_what_a_library_says_of_a_file_names_the_file(monkeypatch, tmp_path, written):
    def full(*_):
        raise OSError(28, "No space left on device")

    written(gzip.compress(b"PAR1"), "a.parquet")
    written(ELEVEN, "b.cdx")
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    errors = []
    rows, _, _ = read(tmp_path, on_error=errors.append)
    assert len(rows) == 1
    assert [type(error) for error in errors] == [InputUnreadable]
    assert "a.parquet" in str(errors[0])


def test_a_damaged_header_between_two_good_records_is_rejected(written):
    good = warc(RECORDS[1])
    for damaged in (
        good.replace(b"WARC/1.0", b"WXRC/1.0"),
        good.replace(b"WARC-Type", b"WARC-Tipe"),
        b"\0" * 500,
    ):
        rows, rejected, _ = read(written(good + damaged + b"\r\n" + good))
        assert [row["position"] for row in rows] == [1, 3]
        assert rejected == [(2, "record")]


def test_all_records_are_counted_by_type_with_what_is_odd_about_them(written):
    def warc(kind, *, ends="\r\n", length=4, gap=2, more="body"):
        header = ["WARC/1.0", *([f"WARC-Type: {kind}"] if kind else []), f"Content-Length: {length}", "", ""]
        return ends.join(header) + more + ends * gap

    def counted(content, name="file"):
        [(told, tally)] = count_records(str(written(content, name)))
        assert told.endswith(name)
        return dict(tally.types), dict(tally.remarks)

    plain = warc("warcinfo") + warc("request") + warc("response") + warc("response")
    types = {"warcinfo": 1, "request": 1, "response": 2}
    assert counted(plain) == (types, {})
    members = b"".join(
        gzip.compress(warc(kind).encode()) for kind in ("warcinfo", "request", "response", "response")
    )
    assert counted(members) == (types, {})
    assert counted(gzip.compress(plain.encode())) == (types, {Remark.SHARED_MEMBER: 3})
    assert counted(warc("request", ends="\n") + warc("response")) == (
        {"request": 1, "response": 1},
        {Remark.LF_HEADER: 1},
    )
    assert counted(warc("request", gap=0) + warc("response")) == (
        {"request": 1, "response": 1},
        {Remark.UNSEPARATED: 1},
    )
    assert counted(warc("request", length=2) + warc("response")) == (
        {"request": 1, "response": 1}, {Remark.BLOCK_LONGER: 1, Remark.SOUGHT: 1},
    )  # fmt: skip
    assert counted(warc("request") + "odd\r\n" + warc("response")) == (
        {"request": 1, "response": 1}, {Remark.JUNK: 1, Remark.SOUGHT: 1},
    )  # fmt: skip
    assert counted(warc("request") + warc("")) == ({"request": 1}, {Remark.NO_TYPE: 1})
    assert counted(warc("request", length="-") + warc("response")) == (
        {"request": 1, "response": 1}, {Remark.NO_LENGTH: 1},
    )  # fmt: skip
    assert counted(warc("request", length=99)) == ({"request": 1}, {Remark.CUT_BLOCK: 1})
    assert counted(warc("request") + "WARC/1.0\r\nWARC-") == ({"request": 1}, {Remark.CUT_HEADER: 1})
    arc = "filedesc://a.arc 0.0.0.0 20200102030405 text/plain 4\n1 0\n\ndns:a.com 1.2.3.4 20200102030405 text/dns 3\nabc"
    assert counted(arc) == ({"filedesc": 1, "dns": 1}, {})
    with pytest.raises(FormatUnknown, match="no WARC, ARC or WACZ"):
        counted(LEGEND + ELEVEN, "a.cdx")


def test_the_rest_of_a_block_whose_length_was_too_short_is_no_record(written):
    data = warc(RECORDS[1]).replace(b"Content-Length: %d" % len(HTTP), b"Content-Length: 3") + warc(
        RECORDS[4]
    )
    assert read(written(data))[1] == []


def test_a_subfolder_that_may_not_be_listed_is_told(monkeypatch, tmp_path, written):
    listed = os.scandir

    def guarded(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    written(ELEVEN, "a.cdx")
    (tmp_path / "secret").mkdir()
    monkeypatch.setattr(os, "scandir", guarded)
    errors = []
    rows, _, _ = read(tmp_path, on_error=errors.append)
    assert len(rows) == 1
    assert [str(error) for error in errors] == [
        f"the folder {tmp_path / 'secret'} cannot be listed: Permission denied"
    ]


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "zstd"],
)
def test_a_small_file_that_holds_much_is_given_out_piece_by_piece(compress):
    size = 200 << 20
    source = Source(io.BytesIO(compress(bytes(size))), "x")
    total, most = 0, 0
    tracemalloc.start()
    while data := source.read(1 << 20):
        total += len(data)
        most = max(most, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert (total, source.damage) == (size, None)
    # One read's output, once as it comes and once as it is held, and the piece that is asked for.
    assert most < 64 << 20


@pytest.mark.parametrize(
    "compress", [bz2.compress, zstandard.ZstdCompressor().compress], ids=["bzip2", "zstd"]
)
def test_damage_is_told_and_what_stands_before_it_is_given(compress):
    first, second = compress(ELEVEN.encode() * 5000), compress(os.urandom(1 << 21))
    for data, damage in (
        (first + second[: len(second) // 2], "ends too early"),
        (first + b"no member", "is damaged"),
    ):
        source = Source(io.BytesIO(data), "x")
        assert source.read(1 << 23).startswith(ELEVEN.encode() * 5000)
        assert damage in source.damage


def numbered(count):
    return "".join(ELEVEN.replace("com,a", f"com,{n:08d}") for n in range(count))


def test_a_line_beyond_the_limit_leaves_the_others_of_its_block_together(written):
    path = written(numbered(3000) + ("x" * 1200 + "\n") * 2 + numbered(3000))
    batches = list(read_captures([str(path)], max_line_bytes=1000, batch_rows=1000))
    assert [batch.table.num_rows for batch in batches] == [3000, 3000]
    assert [r.position for batch in batches for r in batch.rejected] == [3001, 3002]
    assert batches[1].table["position"][0].as_py() == 3003


def test_a_carriage_return_ends_no_line_where_one_is_too_long(written):
    rows, rejected, _ = read(written("a\rb\rc\n" + "x" * 1200 + "\n" + ELEVEN + ELEVEN), max_line_bytes=1000)
    assert ([row["position"] for row in rows], rejected) == ([3, 4], [(1, "fields"), (2, "too_long")])


@pytest.mark.parametrize("name", ["cdx", "cdxj"])
def test_lines_after_one_beyond_a_block_are_lines_in_a_file_that_ends_too_early(name, written):
    line = ELEVEN if name == "cdx" else 'com,a)/ 20200102030405 {"url": "http://a.com/"}\n'
    content = line + "x" * (BLOCK_BYTES + 100) + "\n" + line * 100 + line[:30]
    packed = gzip.compress(content.encode())
    # Without its checksum the file has ended too early, and all that stood in it can be read.
    rows, rejected, _ = read(written(packed[:-8]), max_line_bytes=1000)
    assert len(rows) == 101
    assert rejected == [(2, "too_long"), (103, "truncated")]


LINES = st.lists(st.sampled_from([b"", b"a", b"a\r", b"abcd", b"abcde", b"abcdefghij"]), max_size=12)


@settings(max_examples=300, deadline=None)
@given(LINES, st.booleans(), st.integers(1, 12))
def test_blocks_hold_every_line_once_under_its_number(lines, ended, size):
    data = b"\n".join(lines) + b"\n" * (ended and bool(lines))
    wanted = {n: (line, False) if len(line) <= 4 else (b"", True) for n, line in enumerate(lines, start=1)}
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chronolake.sources.local.lines.BLOCK_BYTES", size)
        for block in blocks(Source(io.BytesIO(data), "x"), 4):
            for number, line in enumerate(block.data.removesuffix(b"\n").split(b"\n"), start=block.first):
                assert number not in found
                found[number] = (b"" if block.too_long else line, block.too_long)
    if lines and not ended and not lines[-1]:
        del wanted[len(lines)]
    assert found == wanted


@pytest.mark.parametrize(
    "line", ["x" * 100_000 + "\n", ELEVEN + "y " * 50_000 + "\n"], ids=["too long", "fields"]
)
def test_eight_kibibytes_of_a_rejected_line_are_kept(line, written):
    path = written(LEGEND + line + ELEVEN)
    batches = list(read_captures([str(path)], max_line_bytes=1 << 17, batch_rows=1000))
    rejected = [rejection for batch in batches for rejection in batch.rejected]
    assert [len(rejection.raw) for rejection in rejected] == [8192]


def test_lines_are_handed_on_by_their_bytes_too(written):
    """A few long lines are as much as twenty thousand short ones."""
    line = 'com,a)/ 20200102030405 {"url": "http://a.com/"}\n'
    content = line + line.replace("a.com/", "a.com/" + "x" * 500_000) * 140
    batches = list(read_captures([str(written(content))], max_line_bytes=1 << 20, batch_rows=1000))
    assert sum(batch.read for batch in batches) == 141
    assert max(batch.table.nbytes for batch in batches) < 40 << 20


def test_surplus_fields_under_a_legend_without_a_timestamp_are_refused(written):
    _, rejected, _ = read(written(" CDX N a s\ncom,a)/ http://a.com/ 200\ncom,a)/ http://a.com/ b 200\n"))
    assert rejected == [(3, "fields")]


def test_links_of_a_timemap(written):
    """The original is named by its link, else by the address of the memento."""
    memento = '<http://a/web/20150101000000mp_/http://x.com/a,b>; rel="first memento"; datetime="{}"'
    lines = [
        memento.format("Thu, 01 Jan 2015 00:00:00 GMT"),
        '<http://x.com/a,b?c>; rel="original"',
        '<http://a/timegate/http://x.com/>; rel="timegate"',
        memento.format("Fri, 01 Jan 2016 10:20:30 GMT"),
        memento.format("soon"),
        "this is no link",
    ]
    rows, rejected, formats = read(written(",\n".join(lines) + "\n"))
    assert formats == {"timemap-link"}
    assert [some(row, "position", "timestamp", "url") for row in rows] == [
        (1, "20150101000000", "http://x.com/a,b"),
        (4, "20160101102030", "http://x.com/a,b?c"),
        (5, "soon", "http://x.com/a,b?c"),
    ]
    assert rejected == [(6, "fields")]
