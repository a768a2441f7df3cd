"""Every source gives the same captures for the same query, whichever way they come, with an account of each."""

from itertools import product

import pytest

from chronolake.clock import SystemClock
from chronolake.errors import ArchiveQueryInvalid
from chronolake.ingest import CollectRequest, IngestRequest
from chronolake.services import open_services
from chronolake.sources.catalogue import Kind, asker_of, source_of
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.query import Match, Query
from chronolake.testing import columnar, differences
from chronolake.testing.archive import Made

#: How each source is asked: its kind, and the archive's path for it.
WAYS = {
    "wayback": (Kind.WAYBACK, "/cdx"),
    "cdx-server": (Kind.CDX_SERVER, "/index"),
    "commoncrawl": (Kind.COMMONCRAWL, ""),
    "commoncrawl-columnar": (Kind.COMMONCRAWL_COLUMNAR, ""),
    "timemap-json": (Kind.TIMEMAP, "/timemap"),
    "timemap-link": (Kind.TIMEMAP, "/links"),
}
INDEXES = [way for way, (kind, _) in WAYS.items() if kind is not Kind.TIMEMAP]
TIMEMAPS = [way for way in WAYS if way not in INDEXES]
URL = "http://news.example.com/told?n=1"
MATCHES = {
    "domain": ({"text": "example.com"}, lambda made: "example.com" in made.url),
    "host": ({"text": "news.example.com", "match": Match.HOST}, lambda made: "//news." in made.url),
    "prefix": ({"text": "www.example.com/p1*"}, lambda made: "//www.example.com/p1" in made.url),
    "exact": ({"text": URL, "match": Match.EXACT}, lambda made: made.url == URL),
    "nothing": ({"text": "http://example.net/", "match": Match.EXACT}, lambda _: False),
}
RANGES = {
    "whole": ({}, lambda _: True),
    "from and to": ({"start": "2020", "end": "202105"}, lambda made: "2020" <= made.timestamp < "202106"),
}


@pytest.fixture
def archive(archive):
    archive.captures += [Made(URL, f"20{year}0303030303", digest=f"{year}" * 16) for year in (19, 20, 21, 22)]
    return archive


@pytest.fixture
def lakeless(database, fast):
    with open_services(fast(ANALYTICS_ENABLED=False)) as opened:
        yield opened


def asked_of(settings, archive, way):
    kind, path = WAYS[way]
    return archive_of(kind, archive.base + path, settings.archives)


def collect(services, archive, way, query, project="news"):
    asked = asked_of(services.settings, archive, way)
    [report] = services.collector.collect(CollectRequest(project, query, archive=asked))
    return report


def stored(services, project):
    with services.database.connection() as conn:
        return {
            (url, f"{timestamp:%Y%m%d%H%M%S}", str(status or "-"), mime, digest)
            for url, timestamp, status, mime, digest in conn.execute(
                "SELECT url, timestamp, status_code, mime_type, digest FROM cdx_records"
                " JOIN projects ON projects.id = project_id WHERE name = %s",
                [project],
            )
        }


def wanted(archive, *keep):
    return {
        (made.url, made.timestamp, made.status, made.mime, made.digest)
        for made in archive.captures
        if all(kept(made) for kept in keep)
    }


def times(captures):
    """What a TimeMap tells of captures."""
    return {(url, timestamp) for url, timestamp, *_ in captures}


def check_account(services, report):
    """The session's account is the import's, and both are what the archive gave."""
    session = report.session
    assert (session.state, session.ended, session.place) == ("done", True, None)
    assert session.read == session.stored + session.duplicate + session.rejected
    assert set(report.attempts) <= {"ok", "empty"}
    with services.database.connection() as conn:
        account = conn.execute(
            "SELECT state, read, stored, duplicate, rejected FROM scrape_sessions WHERE id = %s AND"
            " finished_at >= started_at",
            [session.session_id],
        ).fetchone()
        imported = conn.execute(
            "SELECT state, read, stored, duplicate, rejected FROM imports WHERE id = %s", [session.import_id]
        ).fetchone()
        [rows] = conn.execute(
            "SELECT sum(rows) FROM archive_request_attempts WHERE session_id = %s", [session.session_id]
        ).fetchone()
    assert account == imported == ("done", session.read, session.stored, session.duplicate, 0)
    assert rows == session.read + session.outside


def test_the_same_captures_whichever_way(lakeless, archive):
    for way, match, span in product(WAYS, MATCHES, RANGES):
        if way in TIMEMAPS and match not in {"exact", "nothing"}:
            continue
        archive.loose = span == "from and to"
        (of_match, keep), (of_span, within) = MATCHES[match], RANGES[span]
        project = f"{match}, {span}, by {way}"
        report = collect(lakeless, archive, way, Query.parse(**of_match, **of_span), project)
        assert report.failure is None, project
        found, asked = stored(lakeless, project), wanted(archive, keep, within)
        if way in TIMEMAPS:
            assert times(found) == times(asked), project
        else:
            assert found == asked, project
        assert report.session.stored == len(asked)
        assert (report.session.outside > 0) == (archive.loose and match != "nothing"), project
        check_account(lakeless, report)


def files(archive, of_match, of_span):
    """The same captures as files: what each dialect answers, by its name, and the columnar index's."""
    query = Query.parse(**of_match, **of_span)
    asked = {"url": query.url, "matchType": query.match.value, "limit": "1000", "page": "0"}
    asked |= {name: at for name, at in (("from", query.start), ("to", query.end)) if at}
    crawls = ["/CC-MAIN-2021-31-index", "/CC-MAIN-2019-2020-index"]
    answers = {path: archive.answer(path, asked) for path in ("/cdx", "/index", *crawls)}
    return {path.strip("/"): body for path, (status, body) in answers.items() if status == 200}


def test_files_of_the_same_captures_give_the_same(lakeless, archive, tmp_path):
    archive.page_rows = 1000
    for match, span in product([match for match in MATCHES if match != "nothing"], RANGES):
        (of_match, keep), (of_span, within) = MATCHES[match], RANGES[span]
        asked = wanted(archive, keep, within)
        answers = files(archive, of_match, of_span)
        ways = {name: [body] for name, body in answers.items() if "index" not in name or name == "index"}
        ways["commoncrawl"] = [body for name, body in answers.items() if name.startswith("CC-MAIN")]
        captures = [made for made in archive.captures if keep(made) and within(made)]
        ways["columnar"] = [columnar.parquet(captures, "CC-MAIN-2021-31")]
        assert set(ways) == {"cdx", "index", "commoncrawl", "columnar"}
        for way, bodies in ways.items():
            project = f"{match}, {span}, {way}"
            paths = [tmp_path / f"{project} {number}" for number, _ in enumerate(bodies)]
            for path, body in zip(paths, bodies, strict=True):
                path.write_bytes(body)
            lakeless.pipeline.ingest(IngestRequest(tuple(map(str, paths)), project))
            assert stored(lakeless, project) == asked, project


#: What a source cannot be asked.
REFUSED = [
    *[(way, MATCHES[match][0]) for way, match in product(TIMEMAPS, ("domain", "host", "prefix"))],
    *[(way, MATCHES["exact"][0] | {"filters": ("status:200",)}) for way in TIMEMAPS],
    *[(way, MATCHES["exact"][0] | {"collapse": "digest"}) for way in WAYS if way != "wayback"],
    ("commoncrawl-columnar", MATCHES["domain"][0] | {"filters": ("status:(",)}),
    ("commoncrawl-columnar", {"text": f"example.com/{'x' * 20_000}"}),
]


def test_what_a_source_cannot_be_asked_is_refused_and_not_sent(lakeless, archive):
    for number, (way, query) in enumerate(REFUSED):
        report = collect(lakeless, archive, way, Query.parse(**query), f"{number}")
        assert isinstance(report.failure, ArchiveQueryInvalid), (way, query)
        assert (report.session.state, report.attempts) == ("failed", {})
    assert archive.asked == []


def test_what_is_collected_comes_to_the_lake(services, archive):
    archive.loose = True
    for way in INDEXES:
        query = Query.parse("example.com", start="2020", end="202105")
        assert collect(services, archive, way, query, way).failure is None
    # Sessions and attempts come to the lake by the stream, which shows no transaction whose rows are staged.
    services.sync.reach()
    assert differences(services.database, services.lake) == []


class Kept(list):
    """Attempts in memory."""

    record = list.append


PAGES = {"wayback": 5, "cdx-server": 1, "commoncrawl": 4, "commoncrawl-columnar": 16}


@pytest.mark.parametrize("way", INDEXES)
def test_from_every_place_comes_what_is_left(fast, archive, way):
    settings = fast()
    asked = asked_of(settings, archive, way)
    asker = asker_of(asked, settings, Kept(), SystemClock())
    source = source_of(asked, asker, settings)
    query = Query.parse("example.com")

    def pages(place):
        return [(page.rows, page.body.read(), page.place) for page in source.pages(query, place)]

    whole = pages(None)
    assert (len(whole), whole[-1][2]) == (PAGES[way], None)
    assert sum(rows for rows, *_ in whole) >= len(wanted(archive, MATCHES["domain"][1]))
    for number, (_, _, place) in enumerate(whole[:-1], start=1):
        assert pages(place) == whole[number:]


@pytest.mark.parametrize("way", TIMEMAPS)
def test_a_timemap_tells_when_one_url_was_captured(lakeless, archive, way):
    report = collect(lakeless, archive, way, Query.parse(URL, match=Match.EXACT))
    assert report.attempts == ({"ok": 1} if way == "timemap-json" else {"ok": 2, "empty": 1})
    with lakeless.database.connection() as conn:
        assert conn.execute("SELECT DISTINCT archive_source FROM cdx_records").fetchall() == [("127.0.0.1",)]
    nothing = collect(lakeless, archive, way, Query.parse("http://nowhere.org/", match=Match.EXACT))
    assert (nothing.failure, nothing.attempts) == (None, {"empty": 1})
