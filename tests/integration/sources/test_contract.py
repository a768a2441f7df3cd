"""Every source gives the same captures for the same query, whichever way they come, with an account of each."""

from itertools import product

import pytest

from chronolake.clock import SystemClock
from chronolake.errors import ArchiveQueryInvalid
from chronolake.ingest import CollectRequest
from chronolake.services import open_services
from chronolake.sources.catalogue import Kind, asker_of, source_of
from chronolake.sources.catalogue import archive as archive_of
from chronolake.sources.query import Match, Query
from chronolake.testing import differences
from chronolake.testing.archive import Made

WAYS = {
    Kind.WAYBACK: "/cdx",
    Kind.CDX_SERVER: "/index",
    Kind.COMMONCRAWL: "",
    Kind.COMMONCRAWL_COLUMNAR: "",
}


def collect(services, archive, kind, query, project="news"):
    asked = archive_of(kind, archive.base + WAYS[kind], services.settings.archives)
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


def wanted(archive, keep):
    return {
        (made.url, made.timestamp, made.status, made.mime, made.digest)
        for made in archive.captures
        if keep(made)
    }


QUERIES = {
    "domain": (Query.parse("example.com"), lambda made: "example.com" in made.url),
    "host": (Query.parse("news.example.com", match=Match.HOST), lambda made: "//news." in made.url),
    "prefix": (Query.parse("www.example.com/p1*"), lambda made: "//www.example.com/p1" in made.url),
    "range": (
        Query.parse("example.com", start="2020", end="202105"),
        lambda made: "example.com" in made.url and "2020" <= made.timestamp < "202106",
    ),
    "nothing": (Query.parse("example.net"), lambda _: False),
}


def test_the_same_captures_whichever_way(services, archive):
    for kind, (name, (query, keep)) in product(WAYS, QUERIES.items()):
        archive.loose = name == "range"
        project = f"{name} from {kind}"
        report = collect(services, archive, kind, query, project)
        assert report.failure is None
        assert stored(services, project) == wanted(archive, keep), project
        session = report.session
        assert (session.state, session.ended, session.place) == ("done", True, None)
        assert session.read == session.stored + session.duplicate + session.rejected
        assert session.stored == len(wanted(archive, keep))
        assert set(report.attempts) == ({"ok", "empty"} & set(report.attempts))
        with services.database.connection() as conn:
            account = conn.execute(
                "SELECT state, read, stored, duplicate, rejected FROM scrape_sessions WHERE id = %s AND"
                " finished_at >= started_at",
                [session.session_id],
            ).fetchone()
            imported = conn.execute(
                "SELECT state, read, stored, duplicate, rejected FROM imports WHERE id = %s",
                [session.import_id],
            ).fetchone()
            [rows] = conn.execute(
                "SELECT sum(rows) FROM archive_request_attempts WHERE session_id = %s", [session.session_id]
            ).fetchone()
        # The session's account is the import's, and both are what the archive gave.
        assert account == imported == ("done", session.read, session.stored, session.duplicate, 0)
        assert rows == session.read + session.outside
        assert (session.outside > 0) == archive.loose
    # Sessions and attempts come to the lake by the stream, which shows no transaction whose rows are staged.
    services.sync.reach()
    assert differences(services.database, services.lake) == []


class Kept(list):
    """Attempts in memory."""

    record = list.append


@pytest.mark.parametrize("kind", WAYS, ids=str)
def test_from_every_place_comes_what_is_left(fast, archive, kind):
    settings = fast()
    asked = archive_of(kind, archive.base + WAYS[kind], settings.archives)
    asker = asker_of(asked, settings, Kept(), SystemClock())
    source = source_of(asked, asker, settings)

    def pages(place):
        return [
            (page.rows, page.body.read(), page.place) for page in source.pages(QUERIES["domain"][0], place)
        ]

    whole = pages(None)
    assert (len(whole), whole[-1][2]) == ({"wayback": 5, "cdx-server": 1, "commoncrawl": 4}[kind], None)
    for number, (_, _, place) in enumerate(whole[:-1], start=1):
        assert pages(place) == whole[number:]


@pytest.mark.parametrize("way", ["/timemap", "/links"])
def test_a_timemap_tells_when_one_url_was_captured(database, fast, archive, way):
    url = archive.captures[5].url
    archive.captures += [Made(url, "20200303030303"), Made(url, "20210303030303")]
    with open_services(fast(ANALYTICS_ENABLED=False)) as services:
        asked = archive_of(Kind.TIMEMAP, archive.base + way, services.settings.archives)

        def collected(text, match=Match.EXACT):
            request = CollectRequest("news", Query.parse(text, match=match), archive=asked)
            return services.collector.collect(request)[0]

        report = collected(url)
        assert report.failure is None
        assert report.attempts == ({"ok": 1} if way == "/timemap" else {"ok": 3, "empty": 1})
        with database.connection() as conn:
            found = conn.execute("SELECT url, timestamp, archive_source FROM cdx_records").fetchall()
        assert {(found_url, f"{at:%Y%m%d%H%M%S}") for found_url, at, _ in found} == {
            (made.url, made.timestamp) for made in archive.captures if made.url == url
        }
        assert {source for _, _, source in found} == {"127.0.0.1"}
        nothing = collected("http://nowhere.org/")
        assert (nothing.failure, nothing.attempts) == (None, {"empty": 1})
        assert isinstance(collected("example.com", Match.DOMAIN).failure, ArchiveQueryInvalid)
