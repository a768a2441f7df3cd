"""Common Crawl's columnar index: only what may hold captures is fetched, and what is broken is told."""

import gzip
import hashlib
from functools import cache, partial
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronolake.clock import SystemClock
from chronolake.errors import ArchiveQueryInvalid, SourceBlocked, SourceRefused, SourceUnavailable
from chronolake.ingest import CollectRequest, IngestRequest, Source, request_of
from chronolake.services import open_services
from chronolake.sources.catalogue import Kind, asker_of, source_of
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.columnar import row_group
from chronolake.sources.query import Match, Query
from chronolake.sources.router import Policy
from chronolake.testing import columnar
from chronolake.testing.archive import Fault, Made, WebArchive

QUERY = Query.parse("example.com")
NEW, OLD = "CC-MAIN-2021-31", "CC-MAIN-2019-2020"
FILE = "/cc-index/table/cc-main/warc/crawl={}/subset={}/part-0000{}.c000.parquet"


@pytest.fixture
def lakeless(database, fast):
    with open_services(fast(ANALYTICS_ENABLED=False)) as opened:
        yield opened


class Attempts(list):
    """Attempts in memory."""

    record = list.append

    @property
    def outcomes(self):
        return [attempt.outcome.value for attempt in self]


def source_at(archive, settings, base=None):
    attempts = Attempts()
    asked = archive_of(Kind.COMMONCRAWL_COLUMNAR, base or archive.base, settings.archives)
    return source_of(asked, asker_of(asked, settings, attempts, SystemClock()), settings), attempts


def rows_of(source, query, place=None):
    """The rows of all pages, and the places of those that follow."""
    found, places = [], []
    for page in source.pages(query, place):
        places.append(page.place)
        if page.rows:
            table = pq.read_table(page.body)
            assert table.num_rows == page.rows
            found += table.to_pylist()
    return found, places


def told(rows):
    return sorted((row["url"], f"{row['fetch_time']:%Y%m%d%H%M%S}") for row in rows)


def wanted(captures, keep=lambda made: "example.com" in made.url):
    return sorted((made.url, made.timestamp) for made in captures if keep(made))


@cache
def many_domains():
    """12 000 captures of 300 domains in one crawl; their digests do not compress, so files are large."""
    return [
        Made(
            f"http://d{n // 40:03d}.org/{n}",
            "20210101000000",
            digest=hashlib.md5(b"%d" % n).hexdigest().upper(),
        )
        for n in range(12_000)
    ]


def test_a_domain_in_one_row_group_costs_the_footers_and_its_columns(fast):
    with WebArchive(many_domains()).serving() as archive:
        settings = fast(CHRONOLAKE_COMMONCRAWL_URL=archive.base)
        source, attempts = source_at(archive, settings)
        found, places = rows_of(source, Query.parse("d073.org", start="2021"))
        files = columnar.files_of(tuple(archive.captures), (NEW, OLD), "2021")
    assert told(found) == wanted(archive.captures, lambda made: "/d073." in made.url)
    path = FILE.format(NEW, "warc", 1)
    metadata = pq.read_metadata(BytesIO(files[path]))
    assert metadata.num_row_groups == 8
    # The list of crawls, that of files, four footers, and one row group of the one file that may hold it.
    asked = [request.target for request in archive.asked]
    footers = [f for f in files if NEW in f and f.endswith(".parquet")]
    assert sorted(asked[2:]) == sorted([*footers, path])
    assert attempts.outcomes == ["ok", "ok", "empty", "empty", "empty", "ok", "ok"]
    [tail, group] = [attempt for attempt in attempts if attempt.url.endswith(path)]
    assert (tail.rows, group.rows, tail.bytes) == (None, 40, 128 << 10)
    # An eighth of the file, less the columns that nobody needs.
    assert 0 < group.bytes < len(files[path]) / 8
    assert len(places) == 4


def test_of_a_large_row_group_the_key_comes_first_and_a_filter_next(fast, monkeypatch):
    # As if each column were so large that it is worth a request of its own.
    monkeypatch.setattr(row_group, "GAP_BYTES", 0)
    costs = []
    with WebArchive(many_domains()).serving() as archive:
        settings = fast(CHRONOLAKE_COMMONCRAWL_URL=archive.base)
        for domain, filters in (("d073x.org", ()), ("d073.org", ("status:404",)), ("d073.org", ())):
            source, attempts = source_at(archive, settings)
            found, _ = rows_of(source, Query.parse(domain, start="2021", filters=filters))
            costs.append([one for one in attempts if one.url.endswith(FILE.format(NEW, "warc", 1))][1:])
    assert told(found) == wanted(archive.captures, lambda made: "/d073." in made.url)
    # The key alone says that the domain is not there, the status that none of its captures is wanted.
    absent, filtered, present = costs
    assert [one.rows for one in absent] == [0]
    assert [one.rows for one in filtered] == [None, 0]
    assert [one.rows for one in present] == [None] * (len(present) - 1) + [40]
    assert len(present) > 2
    spent = [sum(one.bytes for one in cost) for cost in costs]
    assert spent[0] < spent[1] < spent[2] / 3


def test_what_footers_said_is_kept_and_the_next_domain_costs_less(fast, archive):
    built = columnar.files_of(tuple(archive.captures), (NEW, OLD), "2021")
    paths = [FILE.format(NEW, subset, part) for subset in ("crawldiagnostics", "warc") for part in (0, 1)]
    renamed = {
        path.replace(".c000", f"-{number:08d}-1234-1234-1234-123456789abc.c000"): built[path]
        for number, path in enumerate(paths)
    }
    listed = "".join(f"{path[1:]}\n" for path in renamed).encode()
    archive.files |= renamed | {f"/crawl-data/{NEW}/cc-index-table.paths.gz": gzip.compress(listed)}
    settings, requests = fast(), []
    for query in (Query.parse("example.com", start="2021"), Query.parse("example.net", start="2021")) * 2:
        archive.asked.clear()
        source, _ = source_at(archive, settings)
        found, places = rows_of(source, query)
        expected = wanted(
            archive.captures, lambda made: made.timestamp >= "2021" and "example.com" in made.url
        )
        assert told(found) == (expected if query.host == "example.com" else [])
        assert places[-1] is None
        requests.append(len(archive.asked))
    # What holds captures is read again; of what holds none, nothing is asked but the two lists.
    assert requests == [requests[0], 2, requests[0], 2]
    kept = settings.home.root / "archives" / "outlines" / f"{NEW}.jsonl"
    assert sum(bool(line) for line in kept.read_text().splitlines()) == 4
    # What a kill cut short is read anew.
    kept.write_bytes(kept.read_bytes()[:-20])
    archive.asked.clear()
    assert rows_of(source_at(archive, settings)[0], query) == ([], [None])
    assert len(archive.asked) == 3


def test_crawls_outside_the_range_are_not_asked(fast, archive):
    source, _ = source_at(archive, fast())
    found, _ = rows_of(source, Query.parse("example.com", end="2020"))
    assert not [asked for asked in archive.asked if NEW in asked.target]
    assert told(found) == wanted(
        archive.captures, lambda made: made.timestamp < "2021" and "example.com" in made.url
    )


def test_files_without_statistics_and_of_the_old_kind_of_time_give_the_same(fast, archive):
    expected = rows_of(source_at(archive, fast())[0], QUERY)[0]
    built = columnar.files_of(tuple(archive.captures), (NEW, OLD), "2021")
    for path, data in built.items():
        if path.endswith(".parquet"):
            table, old = pq.read_table(BytesIO(data)).drop_columns(["content_languages"]), BytesIO()
            pq.write_table(
                table, old, write_statistics=False, use_deprecated_int96_timestamps=True, row_group_size=30
            )
            archive.files[path] = old.getvalue()
    source, attempts = source_at(archive, fast())
    found, places = rows_of(source, QUERY)
    assert told(found) == told(expected)
    assert {row["crawl"] for row in found} == {NEW, OLD}
    # Nothing is known of any row group, so that each is looked at; the domain that is not there costs them, too.
    source, attempts = source_at(archive, fast())
    assert rows_of(source, Query.parse("example.net"))[0] == []
    assert sum(attempt.rows == 0 for attempt in attempts) == len(places)


def test_filters_are_applied_as_an_index_server_does(fast, archive):
    for filters, keep in (
        (("status:(200|301)",), lambda made: made.status in {"200", "301"}),
        (("!status:[0-9]+",), lambda made: made.status == "-"),
        (("mime:text/.*", "!url:.*news.*"), lambda made: made.mime == "text/html" and "news" not in made.url),
        (("digest:A+",), lambda made: set(made.digest) == {"A"}),
    ):
        found, _ = rows_of(source_at(archive, fast())[0], Query.parse("example.com", filters=filters))
        assert told(found) == wanted(
            archive.captures, lambda made, keep=keep: "example.com" in made.url and keep(made)
        )


def test_only_the_subsets_that_are_named_are_read(fast, archive):
    source, _ = source_at(archive, fast(CHRONOLAKE_COMMONCRAWL_SUBSETS="warc"))
    found, _ = rows_of(source, QUERY)
    assert told(found) == wanted(
        archive.captures, lambda m: "example.com" in m.url and m.status in {"200", "-"}
    )
    assert not [asked for asked in archive.asked if "crawldiagnostics" in asked.target]
    source, _ = source_at(archive, fast(CHRONOLAKE_COMMONCRAWL_SUBSETS="robotstxt"))
    assert rows_of(source, QUERY) == ([], [OLD, None])


PASSING = {
    Fault.THROTTLED: "throttled",
    Fault.UNAVAILABLE: "server_error",
    Fault.RESET: "unreachable",
    Fault.CUT: "truncated",
    Fault.SHORT_LENGTH: "truncated",
    Fault.GZIP_CUT: "truncated",
    Fault.HTML: "malformed",
    Fault.NOTHING: "malformed",
}


def test_what_passes_is_tried_again_at_every_step(fast, archive):
    query = Query.parse("example.com", start="2021")
    expected = wanted(archive.captures, lambda made: "example.com" in made.url and made.timestamp >= "2021")
    for fault, outcome in PASSING.items():
        # The list of crawls, that of files, a footer, a row group.
        source, attempts = source_at(archive, fast())
        archive.fail(None, fault, None, fault, None, fault, None)
        assert told(rows_of(source, query)[0]) == expected, fault
        failed = [
            (attempt.outcome.value, attempt.url.rpartition("/")[2][:8])
            for attempt in attempts
            if attempt.outcome.value not in {"ok", "empty"}
        ]
        assert [name for name, _ in failed] == [outcome] * 3, fault
        assert [where for _, where in failed] == ["cc-index", "part-000", "part-000"]
        assert sum(attempt.rows or 0 for attempt in attempts) == len(expected)


def broken(archive, change):
    """Change the first file that is asked."""
    path = FILE.format(NEW, "crawldiagnostics", 0)
    archive.files[path] = change(columnar.files_of(tuple(archive.captures), (NEW, OLD), "2021")[path])


def without(column, data):
    written = BytesIO()
    pq.write_table(pq.read_table(BytesIO(data)).drop_columns([column]), written)
    return written.getvalue()


def other_type(data):
    table, written = pq.read_table(BytesIO(data)), BytesIO()
    pq.write_table(table.set_column(0, "url_surtkey", pa.array([[b"x"]] * table.num_rows)), written)
    return written.getvalue()


def damaged(data):
    """The bytes of the first pages are others."""
    return data[:4] + b"\xff" * 600 + data[604:]


BROKEN = {
    "no key": (partial(without, "url_surtkey"), SourceRefused, "no column url_surtkey", "ok"),
    "no URL": (partial(without, "url"), SourceRefused, "no column url", "ok"),
    "key of another kind": (other_type, SourceRefused, "no column url_surtkey", "ok"),
    "no Parquet": (lambda data: b"<html>" * 100, SourceUnavailable, "no Parquet file", "malformed"),
    "cut": (lambda data: data[:-3], SourceUnavailable, "no Parquet file", "malformed"),
    "footer cut": (lambda data: data[-2000:], SourceUnavailable, "lies outside|longer than", "malformed"),
    "footer damaged": (
        lambda data: data[:-1000] + b"\xff" * 900 + data[-100:],
        SourceUnavailable,
        "footer",
        "malformed",
    ),
    "columns damaged": (damaged, SourceUnavailable, "columns cannot be read", "malformed"),
    "empty": (lambda data: b"", SourceRefused, "416", "client_error"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_broken_is_told_and_never_one_without_captures(fast, archive, name):
    change, error, said, outcome = BROKEN[name]
    broken(archive, change)
    source, attempts = source_at(archive, fast(CHRONOLAKE_ARCHIVE_TRIES=2))
    with pytest.raises(error, match=said):
        rows_of(source, QUERY)
    assert attempts.outcomes[-1] == outcome


def test_lists_that_are_none_are_told(fast, archive):
    listing = f"/crawl-data/{NEW}/cc-index-table.paths.gz"
    for body, said in (
        (gzip.compress(b""), "lists no files"),
        (gzip.compress(b"cc-index/table/crawl=CC-MAIN-2020-05/subset=warc/a.parquet\n"), "no file of"),
        (gzip.compress(f"a/../crawl={NEW}/subset=warc/a.parquet\n".encode()), "no file of"),
        (b"<html>", "no gzip data"),
    ):
        archive.files[listing] = body
        source, attempts = source_at(archive, fast(CHRONOLAKE_ARCHIVE_TRIES=1))
        with pytest.raises(SourceUnavailable, match=said):
            rows_of(source, QUERY)
        assert attempts.outcomes == ["ok", "malformed"]


def test_a_crawl_that_is_missing_an_outage_and_a_no_are_errors(lakeless, archive):
    def collected(project, base):
        asked = archive_of(Kind.COMMONCRAWL_COLUMNAR, base, lakeless.settings.archives)
        [report] = lakeless.collector.collect(CollectRequest(project, QUERY, archive=asked))
        assert (report.session.state, report.session.read) == ("failed", 0)
        return report

    report = collected("missing", f"{archive.base}/elsewhere")
    assert isinstance(report.failure, SourceRefused)
    assert "cc-index-table.paths.gz" in report.failure.message
    assert report.attempts == {"ok": 1, "not_found": 1}
    archive.fail(None, None, Fault.BLOCKED)
    report = collected("blocked", archive.base)
    assert isinstance(report.failure, SourceBlocked)
    archive.fail(None, *[Fault.UNAVAILABLE] * 6)
    report = collected("outage", archive.base)
    assert isinstance(report.failure, SourceUnavailable)
    assert report.attempts == {"ok": 1, "server_error": 6}


def test_a_place_that_is_no_more_is_told(fast, archive):
    path = FILE.format(NEW, "warc", 7)[1:]
    for place, said in (
        ("CC-MAIN-1999-01", "the crawl CC-MAIN-1999-01 no more"),
        (f"{NEW} {path} 0", "part-00007.c000.parquet no more"),
        (f"{NEW} {path}", "is no place"),
    ):
        with pytest.raises(SourceUnavailable, match=said):
            rows_of(source_at(archive, fast())[0], QUERY, place)


def test_it_is_asked_for_by_name_and_the_project_keeps_its_policy(lakeless, archive):
    settings = lakeless.settings.archives
    request = request_of(settings, project="news", domain="example.com", source=Source.COMMONCRAWL_COLUMNAR)
    assert (request.policy, request.archive.base) == (None, archive.base)
    [report] = lakeless.collector.collect(request)
    assert (report.reason, report.session.archive_source) == ("it was named", "commoncrawl")
    [report] = lakeless.collector.collect(CollectRequest("news", QUERY))
    assert report.session.archive_source == "wayback"
    assert "columnar" not in " ".join(Policy)
    for address in ("s3://commoncrawl", "s3://commoncrawl/cc-index"):
        with pytest.raises(ArchiveQueryInvalid, match="S3"):
            archive_of(Kind.COMMONCRAWL_COLUMNAR, address, settings)


def test_every_field_is_kept_and_the_index_servers_capture_is_the_same_one(lakeless, archive, tmp_path):
    """The API's answer for a capture, as a file, and the table's row of it: the second is a duplicate."""
    asked = archive_of(Kind.COMMONCRAWL_COLUMNAR, None, lakeless.settings.archives)
    query = Query.parse("http://example.org/", match=Match.EXACT)
    lakeless.collector.collect(CollectRequest("news", query, archive=asked))
    with lakeless.database.connection() as conn:
        row = conn.execute(
            "SELECT url_key, status_code, mime_detected, charset, languages, truncated, warc_filename,"
            " warc_record_offset, content_length, crawl FROM cdx_records"
        ).fetchone()
    name = f"crawl-data/{OLD}/segments/1/warc/a.warc.gz"
    assert row[:2] == ("org,example)/", 200)
    [offset] = [value for value in row if isinstance(value, int) and value % 1000 == 0]
    assert row[2:] == ("text/html", "UTF-8", "eng", None, name, offset, 321, OLD)
    line = tmp_path / "api.jsonl"
    line.write_text(
        '{"urlkey": "org,example)/", "timestamp": "20200101000000", "url": "http://example.org/", "status": "200",'
        f' "mime": "text/html", "digest": "{"A" * 32}", "length": "321", "offset": "{offset}", "filename": "{name}"}}\n'
    )
    counts = lakeless.pipeline.ingest(IngestRequest((str(line),), "news")).counts
    assert (counts.read, counts.stored, counts.duplicate) == (1, 0, 1)
