"""An answer is whole, or it is refused: a cut one must never look like a shorter one."""

import gzip
import io
import json

import pytest

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Unusable, index_lines, timemap, wayback_json
from chronolake.sources.spool import Spool

COLUMNS = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]
ROWS = [
    ["com,dw)/", f"2019100101245{n}", "http://dw.com/", "text/html", "200", "A" * 32, "4"] for n in range(3)
]


def answer(body):
    return Answer("http://a/", 200, {}, io.BytesIO(body), len(body))


def array(*rows):
    return ("[" + ",\n".join(json.dumps(row) for row in rows) + "]\n").encode()


def test_rows_and_resume_key_of_an_array():
    found = wayback_json(answer(array(COLUMNS, *ROWS, [], ["com%2Cdw%29%2F+20191218145126"])))
    assert (found.rows, found.resume_key) == (3, "com%2Cdw%29%2F+20191218145126")
    found = wayback_json(answer(array(COLUMNS, *ROWS)))
    assert (found.rows, found.resume_key, found.outcome) == (3, None, Outcome.OK)
    for nothing in (b"[]\n", b"[]", b"", array(COLUMNS)):
        assert wayback_json(answer(nothing)).outcome is Outcome.EMPTY


def test_an_array_that_was_cut_anywhere_is_refused():
    """Also between two lines, where what is left is rows and nothing but rows."""
    body = array(COLUMNS, *ROWS, [], ["com%2Cdw%29%2F+2019"])
    for end in range(1, len(body.rstrip())):
        with pytest.raises(Unusable):
            wayback_json(answer(body[:end]))


def test_a_row_that_is_no_json_is_a_row():
    """It is the reader's to reject; the page around it counts."""
    body = array(COLUMNS, ROWS[0], ROWS[1]).replace(b"http://dw.com/", b'http://"dw.com/', 1)
    assert wayback_json(answer(body)).rows == 2


@pytest.mark.parametrize(
    "body", [b"<html>Sorry</html>", b'{"message": "no"}', b"com,dw)/ 2019 x\n", b"\0\1\2"]
)
def test_what_is_no_array_is_refused(body):
    with pytest.raises(Unusable) as caught:
        wayback_json(answer(body))
    assert caught.value.outcome is Outcome.MALFORMED


def test_lines_of_an_index():
    cdxj = b'com,dw)/ 20191001012455 {"url": "http://dw.com/"}\n' * 3
    assert index_lines(answer(cdxj)).rows == 3
    cdx = b" CDX N b a m s k r M S V g\ncom,dw)/ 20191001012455 http://dw.com/ text/html 200 A - - 1 2 f\n"
    assert index_lines(answer(cdx)).rows == 1
    assert index_lines(answer(b"")).outcome is Outcome.EMPTY
    with pytest.raises(Unusable) as caught:
        index_lines(answer(cdxj[:-1]))
    assert caught.value.outcome is Outcome.TRUNCATED
    with pytest.raises(Unusable):
        index_lines(answer(b"<html>\n"))


def test_a_very_long_line_is_counted_once():
    line = b'com,dw)/ 20191001012455 {"url": "http://dw.com/' + b"x" * 300_000 + b'"}\n'
    short = b'com,dw)/ 20191001012455 {"url": "http://dw.com/"}\n'
    assert index_lines(answer(short + line + short)).rows == 3


def test_a_timemap():
    listed = [{"datetime": "2019-10-01T01:24:55Z", "uri": "http://a/web/1/http://dw.com/"}]
    body = json.dumps({"original_uri": "http://dw.com/", "mementos": {"list": listed}}).encode()
    assert timemap(answer(body)).rows == 1
    for broken in (body[:-5], b'{"mementos": 7}', b"<html>"):
        with pytest.raises(Unusable):
            timemap(answer(broken))


def spooled(data, piece, most_bytes=1 << 20):
    file = io.BytesIO()
    spool = Spool(file, most_bytes)
    spool.begin("gzip")
    for start in range(0, len(data), piece):
        spool.take(data[start : start + piece])
    spool.end()
    assert spool.sent == len(data)
    return file.getvalue()


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_gzip_of_several_members_comes_whole_and_a_cut_one_is_refused(piece):
    first, second = b"com,dw)/ 2019\n" * 500, b"com,dw)/ 2020\n"
    data = gzip.compress(first) + gzip.compress(second)
    assert spooled(data, piece) == first + second
    for cut in (1, 9, len(gzip.compress(second)) - 1):
        with pytest.raises(Unusable) as caught:
            spooled(data[:-cut], piece)
        assert caught.value.outcome is Outcome.TRUNCATED


def test_a_small_answer_that_holds_gigabytes_is_refused_before_it_is_large():
    with pytest.raises(Unusable, match="CHRONOLAKE_ARCHIVE_MAX_BYTES"):
        spooled(gzip.compress(bytes(64 << 20)), 1 << 20, most_bytes=8 << 20)


LINKS = b"""<http://dw.com/>; rel="original",
<http://a/timemap/link/http://dw.com/>; rel="self"; type="application/link-format",
<http://a/timemap/json/http://dw.com/>; rel="timemap"; type="application/json",
<http://a/timemap/2/http://dw.com/>; rel="timemap"; from="Thu, 01 Jan 2015 00:00:00 GMT",
<http://a/web/20150101000000/http://dw.com/>; rel="first memento"; datetime="Thu, 01 Jan 2015 00:00:00 GMT",
<http://a/web/20160101000000mp_/http://dw.com/x,y>; rel=memento; datetime="Fri, 01 Jan 2016 00:00:00 GMT"
"""


def test_a_timemap_of_links():
    found = timemap(answer(LINKS))
    assert (found.rows, found.document) == (2, ["http://a/timemap/2/http://dw.com/"])
    for end in (-10, -80):
        with pytest.raises(Unusable) as caught:
            timemap(answer(LINKS[:end]))
        assert caught.value.outcome is Outcome.TRUNCATED
