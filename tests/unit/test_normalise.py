import base64
import hashlib
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronolake.capture import identity
from chronolake.capture.columns import CDX_RECORDS
from chronolake.capture.record import RAW_SCHEMA, RawBatch, Reason, Rejection
from chronolake.sources.local.normalise import Normaliser, archive_source_of

SHA1 = base64.b32encode(hashlib.sha1(b"a page").digest()).decode()
ORDINARY = {
    "url_key": "com,example)/a",
    "timestamp": "20150403112233",
    "url": "http://www.example.com/A",
    "mime_type": "text/html",
    "status": "200",
    "digest": SHA1,
    "redirect_url": "-",
    "robot_flags": "-",
    "length": "1234",
    "offset": "5678",
    "filename": "crawl.warc.gz",
}


def batch(*rows, format_name="cdx11", **more):
    numbered = [{"position": i, **ORDINARY, **row} for i, row in enumerate(rows, 1)]
    return RawBatch("made-up.cdx", format_name, pa.Table.from_pylist(numbered, schema=RAW_SCHEMA), **more)


def normalise(*rows, archive_source=None, **more):
    return Normaliser(7, archive_source).normalise(batch(*rows, **more))


def one(**row):
    made = normalise(row)
    assert made.rejected == []
    return made.table.to_pylist()[0]


def refused(**row):
    made = normalise(row)
    assert made.table.num_rows == 0
    (rejection,) = made.rejected
    return rejection


def test_an_ordinary_line_fills_the_declared_columns():
    assert one() == {
        "id": one()["id"],
        "project_id": 7,
        "archive_source": "local",
        "url": "http://www.example.com/A",
        "url_key": "com,example)/a",
        "given_url_key": None,
        "host": "www.example.com",
        "domain": "example.com",
        "registered_domain": "example.com",
        "private_domain": "example.com",
        "tld": "com",
        "timestamp": datetime(2015, 4, 3, 11, 22, 33),
        "timestamp_raw": None,
        "timestamp_repaired": False,
        "record_type": "response",
        "status_code": 200,
        "mime_type": "text/html",
        "mime_detected": None,
        "charset": None,
        "languages": None,
        "content_length": 1234,
        "digest": SHA1,
        "digest_algorithm": "sha1",
        "redirect_url": None,
        "robot_flags": None,
        "ip": None,
        "truncated": None,
        "warc_filename": "crawl.warc.gz",
        "warc_record_offset": 5678,
        "crawl": None,
        "raw_line": None,
    }


def test_the_table_has_the_declared_schema_less_the_batch():
    declared = [field for field in CDX_RECORDS.arrow_schema if field.name != "batch_id"]
    assert normalise({}).table.schema == pa.schema(declared)
    assert normalise().table.schema == pa.schema(declared)


def test_an_empty_batch_is_an_empty_batch():
    made = normalise()
    assert (made.table.num_rows, made.rejected, made.repaired) == (0, [], 0)


def test_a_raw_table_of_several_chunks_is_read_whole():
    raw = batch({}, {"url": "http://b.example/"})
    chunked = pa.concat_tables([raw.table.slice(0, 1), raw.table.slice(1, 1)])
    assert Normaliser(7, None).normalise(RawBatch("f", "cdx11", chunked)).table.num_rows == 2


def test_captures_are_sorted_by_domain_then_time():
    made = normalise(
        {"url": "http://z.org/", "timestamp": "2003"},
        {"url": "http://a.org/", "timestamp": "2005"},
        {"url": "http://www.z.org/", "timestamp": "2001"},
        {"url": "http://ä.org/", "timestamp": "2004"},
        {"url": "dns:z.org", "timestamp": "2009"},
    )
    found = [(row["domain"], row["timestamp"].year) for row in made.table.to_pylist()]
    assert found == sorted(found)
    assert len(found) == 5


def test_ids_are_those_of_the_identity_rule_whatever_the_order_of_the_input():
    rows = [{"url": f"http://{name}.example/"} for name in "cab"]
    forward, backward = normalise(*rows), normalise(*rows[::-1])
    assert forward.table == backward.table
    for row in forward.table.to_pylist():
        micros = (row["timestamp"] - datetime(1970, 1, 1)).total_seconds() * 1_000_000
        assert row["id"] == identity.scalar(7, {**row, "timestamp": int(micros)})


def test_a_line_given_twice_has_one_id():
    ids = normalise({}, {}).table["id"].to_pylist()
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "spelling",
    [
        {"digest": f"sha1:{SHA1}"},
        {"digest": hashlib.sha1(b"a page").hexdigest()},
        {"url_key": "(com,example,)/a"},
    ],
)
def test_spellings_of_the_same_capture_share_its_id(spelling):
    assert one(**spelling)["id"] == one()["id"]


@pytest.mark.parametrize(
    ("format_name", "source"),
    [
        ("wayback-json", "wayback"),
        ("Wayback API text", "wayback"),
        ("timemap-json", "wayback"),
        ("commoncrawl-jsonl", "commoncrawl"),
        ("cc-index-parquet", "commoncrawl"),
        ("cdx11", "local"),
        ("warc", "local"),
    ],
)
def test_the_archive_is_told_by_the_format(format_name, source):
    assert archive_source_of(format_name) == source
    assert normalise({}, format_name=format_name).table["archive_source"].to_pylist() == [source]


def test_a_named_archive_source_wins():
    made = normalise({}, format_name="wayback-json", archive_source="mine")
    assert made.table["archive_source"].to_pylist() == ["mine"]


def test_the_given_key_is_kept_where_it_differs():
    row = one(url_key="(com,example,www,)/A")
    assert (row["url_key"], row["given_url_key"]) == ("com,example)/a", "(com,example,www,)/A")


def test_the_key_of_a_request_with_a_body_is_kept():
    key = "com,example)/a?__wb_method=post&__wb_post_data=eD0x"
    row = one(url_key=key)
    assert (row["url_key"], row["given_url_key"]) == (key, None)


@pytest.mark.parametrize("url", [None, "", "-"])
def test_a_missing_url_is_rebuilt_from_its_key(url):
    row = one(url=url, url_key="uk,co,example)/b?c=1")
    assert (row["url"], row["url_key"]) == ("http://example.co.uk/b?c=1", "uk,co,example)/b?c=1")
    assert row["domain"] == "example.co.uk"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("dns:www.example.com", "dns:www.example.com"),
        ("filedesc://crawl.arc", "filedesc://crawl.arc"),
        ("warcinfo:/crawl.warc.gz/archive", "warcinfo:/crawl.warc.gz/archive"),
        ("urn:uuid:1b7c", "urn:uuid:1b7c"),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("metadata://example.com/crawl/report", "com,example)/crawl/report"),
    ],
)
def test_urls_of_no_network_host_are_captures_without_a_domain(url, key):
    row = one(url=url, url_key=None)
    assert (row["url"], row["url_key"], row["host"], row["domain"]) == (url, key, None, "")


def test_where_no_key_can_be_made_the_given_one_serves_or_the_url():
    assert (
        one(url="http://Example.com:99999/", url_key="com,example:99999)/")["url_key"]
        == "com,example:99999)/"
    )
    assert one(url="http://Example.com:99999/", url_key="-")["url_key"] == "http://example.com:99999/"


def test_dirty_urls_are_captures():
    url = "http://example.com/a&gt;Home&lt;/a&gt|%0D%22',"
    assert one(url=url)["url"] == url


def test_a_host_longer_than_any_host_is_none():
    row = one(url="http://" + "a" * 254 + ".com/")
    assert (row["host"], row["domain"]) == (None, "")


def test_nul_becomes_text_that_a_database_can_store():
    row = one(url="http://example.com/a\0b", mime_type="text/\0html", filename="a\0.warc")
    assert row["url"] == "http://example.com/a%00b"
    assert row["mime_type"] == "text/%00html"
    assert row["warc_filename"] == "a%00.warc"


def test_a_repaired_timestamp_is_kept_as_given_and_counted():
    made = normalise(
        {"timestamp": "20000008241731"}, {"timestamp": "20000800241623"}, {}, {"timestamp": "2015"}
    )
    assert made.repaired == 2
    by_raw = {row["timestamp_raw"]: row for row in made.table.to_pylist()}
    assert by_raw["20000008241731"]["timestamp"] == datetime(2000, 8, 24, 17, 31)
    assert by_raw["20000008241731"]["timestamp_repaired"]
    assert not by_raw["2015"]["timestamp_repaired"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"url": "-", "url_key": "-"}, Reason.NO_URL),
        ({"url": None, "url_key": None}, Reason.NO_URL),
        ({"url": None, "url_key": "0cc175b9c0f1b6a831c399e269772661"}, Reason.NO_URL),
        ({"timestamp": "-"}, Reason.NO_TIMESTAMP),
        ({"timestamp": ""}, Reason.NO_TIMESTAMP),
        ({"timestamp": " "}, Reason.NO_TIMESTAMP),
        ({"timestamp": None}, Reason.NO_TIMESTAMP),
        ({"timestamp": "f00dcafe"}, Reason.TIMESTAMP),
        ({"timestamp": "20150431000000"}, Reason.TIMESTAMP),
    ],
)
def test_what_can_be_no_capture_is_rejected_with_its_reason(row, reason):
    rejection = refused(**row)
    assert (rejection.file, rejection.position, rejection.reason) == ("made-up.cdx", 1, reason)


def test_a_rejection_holds_the_fields_of_its_line_or_the_line_as_read():
    raw = f"com,example)/a never http://www.example.com/A text/html 200 {SHA1} - - 1234 5678 crawl.warc.gz"
    assert refused(timestamp="never").raw == raw.encode()
    assert refused(timestamp="never", raw_line=b"a never \xe9").raw == b"a never \xe9"
    assert len(refused(timestamp="never", url="http://example.com/" + "a" * 100_000).raw) == 8192


def test_rejections_of_the_reader_are_handed_on_and_every_line_is_accounted_for():
    earlier = Rejection("made-up.cdx", 9, Reason.FIELDS, "too few", b"x")
    raw = batch({"timestamp": "never"}, {}, {"url": "-", "url_key": "-"}, {}, rejected=[earlier])
    made = Normaliser(7, None).normalise(raw)
    assert made.rejected[0] == earlier
    assert [rejection.position for rejection in made.rejected] == [9, 1, 3]
    assert made.read == raw.read == 5


@pytest.mark.parametrize(
    ("given_status", "status"),
    [
        ("200", 200),
        ("226", 226),
        ("0", 0),
        *((nothing, None) for nothing in ("-", None, "", "-1", "html>", "99999999999", "200.0")),
    ],
)
def test_status(given_status, status):
    assert one(status=given_status)["status_code"] == status


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("123456789012", 123456789012),
        ("-", None),
        ("-3", None),
        (None, None),
        ("9" * 30, None),
    ],
)
def test_length_and_offset(text, number):
    row = one(length=text, offset=text)
    assert (row["content_length"], row["warc_record_offset"]) == (number, number)


def test_a_timestamp_that_slipped_into_the_length_is_no_length():
    row = one(length="20150403112233", offset="20150403112233")
    assert (row["content_length"], row["warc_record_offset"]) == (None, 20150403112233)


@pytest.mark.parametrize(
    ("mime", "kept"),
    [
        ("unk", "unk"),
        ("-", None),
        ("", None),
        (" Text/HTML ; charset=x ", "Text/HTML ; charset=x"),
        ("None", "None"),
    ],
)
def test_media_types_are_kept_as_sent(mime, kept):
    assert one(mime_type=mime)["mime_type"] == kept


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"mime_type": "warc/revisit"}, "revisit"),
        ({"mime_type": "warc/request"}, "request"),
        ({"mime_type": "application/http;msgtype=request"}, "request"),
        ({"mime_type": "application/http;msgtype=response"}, "response"),
        ({"mime_type": "warc/metadata"}, "metadata"),
        ({"mime_type": "warc-info"}, "warcinfo"),
        ({"mime_type": "warc/warcinfo0.1.0"}, "warcinfo"),
        ({"mime_type": "arc/filedesc0.1.0"}, "filedesc"),
        ({"mime_type": "text/dns"}, "dns"),
        ({"mime_type": "no-type", "url": "dns:example.com"}, "dns"),
        ({"mime_type": "text/plain", "url": "filedesc:crawl.arc"}, "filedesc"),
        ({"mime_type": "-"}, "response"),
        ({"mime_type": "text/html", "record_type": "Revisit"}, "revisit"),
        ({"mime_type": "warc/revisit", "record_type": "-"}, "revisit"),
    ],
)
def test_record_types(row, kind):
    assert one(**row)["record_type"] == kind


def test_a_revisit_keeps_its_media_type_and_has_no_status():
    row = one(mime_type="warc/revisit", status="-")
    assert (row["record_type"], row["mime_type"], row["status_code"]) == ("revisit", "warc/revisit", None)


@pytest.mark.parametrize(
    ("redirect", "flags", "redirect_kept", "flags_kept"),
    [
        ("http://example.com/b", "-", "http://example.com/b", None),
        ("S", "-", None, "S"),
        ("AIF", None, None, "AIF"),
        ("S", "A", None, "A"),
        ("-", "AF", None, "AF"),
        ("Sitemap", "-", "Sitemap", None),
    ],
)
def test_robot_flags_in_the_redirect_column_are_moved(redirect, flags, redirect_kept, flags_kept):
    row = one(redirect_url=redirect, robot_flags=flags)
    assert (row["redirect_url"], row["robot_flags"]) == (redirect_kept, flags_kept)


field = st.one_of(st.none(), st.just("-"), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
odd_rows = st.fixed_dictionaries(
    {},
    optional={
        **{name: field for name in RAW_SCHEMA.names if name not in {"position", "raw_line", "url"}},
        # Numbers alone would name a host that only a name server could refuse.
        "url": st.one_of(field, field.map("http://h.{}".format)),
        "timestamp": st.sampled_from(["20150403112233", "20000008241731", "-", "2015-04-03T11:22:33Z", "x"]),
    },
)


@settings(deadline=None)
@given(st.lists(odd_rows, max_size=12))
def test_whatever_a_reader_finds_becomes_a_capture_or_a_rejection(rows):
    raw = batch(*rows)
    made = Normaliser(7, None).normalise(raw)
    assert made.read == raw.read
    made.table.validate(full=True)
    for name in made.table.schema.names:
        if pa.types.is_string(made.table.schema.field(name).type):
            assert not any("\0" in text for text in made.table[name].to_pylist() if text is not None)


@settings(deadline=None, max_examples=40)
@given(st.lists(odd_rows, max_size=8))
def test_a_batch_is_normalised_as_each_row_is(rows):
    together = Normaliser(7, None).normalise(batch(*rows)).table
    apart = [Normaliser(7, None).normalise(batch(row)).table for row in rows]
    alone = sorted(str(row) for table in apart for row in table.to_pylist())
    assert sorted(str(row) for row in together.to_pylist()) == alone
