"""From captures to pages through the real stores: one answer for each capture, and the same lake by either road."""

import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from chronolake.errors import InputUnreadable, ProjectUnknown, StorageFull
from chronolake.ingest import ExtractRequest, IngestRequest, dual_write
from chronolake.services import open_services
from chronolake.testing import differences
from chronolake.testing.warc import WarcFile, story


def at(number):
    return f"2020{number % 12 + 1:02d}{number % 28 + 1:02d}030405"


def made(count=12):
    """A WARC of stories of two domains, and one capture of each kind that becomes no page."""
    file = WarcFile()
    for number in range(count):
        file.add(
            f"http://{'www.' if number % 2 else ''}site-{number % 2}.com/story/{number}",
            at(number),
            story(number),
        )
    again = file.written[0]
    file.add("http://site-0.com/copy", "20210101000000", story(0))
    file.add(
        "http://site-0.com/story/1000?print=1",
        "20210102000000",
        story(1) + b"<!-- other bytes, same text -->",
    )
    file.add("http://site-0.com/gone", "20210103000000", b"<p>not here</p>", status="404 Not Found")
    file.add("http://site-0.com/logo.png", "20210104000000", b"\x89PNG", header=("Content-Type: image/png",))
    file.add("http://site-0.com/tag/foxes/", "20210105000000", story(98))
    file.add("http://site-0.com/story/0", "20210106000000", b"", record_type="revisit", digest=again.digest)
    file.add("http://site-0.com/story/0", "20210107000000", b"", record_type="revisit", digest="B" * 32)
    file.add("http://site-0.com/empty", "20210108000000", b"")
    file.add("http://site-0.com/wrong", "20210109000000", story(99), digest="C" * 32)
    file.add(
        "http://site-0.com/broken.pdf",
        "20210110000000",
        b"%PDF-1.4 and no more",
        header=("Content-Type: application/pdf",),
    )
    return file


FILTERED = {
    "duplicate": 2, "same_text": 1, "status": 1, "static_asset": 1, "list_page": 1, "revisit": 1, "empty": 1,
}  # fmt: skip


@pytest.fixture
def warc(tmp_path):
    folder = tmp_path / "warcs"
    folder.mkdir()
    (folder / "a.warc.gz").write_bytes(made().data)
    return folder


@pytest.fixture
def opened(database, make_settings):
    def make(**variables):
        few = {"CHRONOLAKE_EXTRACT_WORKERS": 1, "CHRONOLAKE_PAGE_BATCH": 5}
        return open_services(make_settings(**few | variables))

    return make


#: For what does not depend on there being a lake.
LAKELESS = {"ANALYTICS_ENABLED": False}


def ingest(services, folder, project="news"):
    return services.pipeline.ingest(IngestRequest(paths=(str(folder),), project=project))


def run(services, folder, project="news", **more):
    report = services.extraction.run(ExtractRequest(project=project, files=(str(folder),), **more))
    counts = report.counts
    assert counts.considered == (
        counts.extracted + counts.failed.total() + counts.filtered.total() + counts.not_fetched.total()
    )
    return report


def rows(services, statement, *values):
    with services.database.connection() as conn:
        return conn.execute(statement, values).fetchall()


STORED = (
    "SELECT url, date_captured, content_hash, word_count, entity_count, language, title, text, simhash, mime_detected,"
    " charset, link_count, links, payload_digest, quality_score, quality_reasons::text FROM pages ORDER BY url, date_captured"
)
ENTITIES = "SELECT page_id, kind, value, canonical, count, position, extractor FROM page_entities ORDER BY 1, 2, 3, 6"


@pytest.mark.parametrize("dual_write", [True, False])
def test_every_capture_gets_one_answer_and_both_stores_hold_it_by_either_road(opened, warc, dual_write):
    with opened(ENABLE_DUAL_WRITE=dual_write) as services:
        ingest(services, warc)
        report = run(services, warc)
        counts = report.counts
        assert (counts.considered, counts.extracted, report.in_lake) == (22, 12, True)
        assert counts.filtered == FILTERED
        assert counts.not_fetched == {"digest": 1}
        assert counts.failed == {"malformed": 1}
        assert differences(services.database, services.lake) == []
        staged = rows(services, "SELECT count(*) FROM ledger WHERE table_name = 'content_analytics'")
        assert (staged > [(1,)]) is dual_write
        decided = rows(
            services, "SELECT reason, count(*)::int, bool_or(overridden) FROM extraction_decisions GROUP BY 1"
        )
        assert {reason: count for reason, count, _ in decided} == FILTERED | {"digest": 1}
        assert not any(overridden for *_, overridden in decided)
        [account] = rows(
            services, "SELECT state, read, stored, rejected FROM imports ORDER BY id DESC LIMIT 1"
        )
        assert account == ("done", 13, 12, 1)
        # A second time there is nothing to look at.
        assert run(services, warc).counts.considered == 0
        # Asked for, pages take the place of the old ones, in both stores.
        before, entities = rows(services, STORED), rows(services, ENTITIES)
        assert len(before) == 12
        assert len(entities) > 12
        with services.database.connection() as conn:
            conn.execute(
                "UPDATE pages SET title = 'old', word_count = 1, text = 'old' WHERE url LIKE '%%/story/4'"
            )
            conn.execute("DELETE FROM page_entities WHERE kind = 'email'")
        again = run(services, warc, again=True).counts
        assert (again.considered, again.extracted, again.filtered) == (22, 12, FILTERED)
        assert rows(services, STORED) == before
        assert rows(services, ENTITIES) == entities
        assert rows(services, "SELECT kind, tries FROM page_failures") == [("malformed", 2)]
        assert rows(services, "SELECT count(*) FROM ledger WHERE table_name = 'content_analytics'") == staged
        assert differences(services.database, services.lake) == []


def test_a_page_holds_what_was_extracted(opened, warc):
    with opened(**LAKELESS) as services:
        ingest(services, warc)
        run(services, warc, domain="site-1.com", limit=1)
        [page] = rows(services, STORED)
        url, _, content_hash, words, entities, language, title, text, simhash, *more = page
        mime, charset, links, listed, digest, quality, reasons = more
        number = url.rpartition("/")[2]
        assert (language, title, mime, charset.lower(), links) == (
            "en",
            f"Story {number}",
            "text/html",
            "utf-8",
            1,
        )
        assert f"fox number {number}" in text
        assert len(content_hash) == 64
        assert words > 50
        assert isinstance(simhash, int)
        assert listed == [f"http://example.org/{number}"]
        assert rows(services, "SELECT digest FROM cdx_records JOIN pages ON id = page_id") == [(digest,)]
        assert 0 <= quality <= 1
        assert reasons.startswith("[")
        found = rows(
            services, "SELECT kind, value, count, batch_id = (SELECT batch_id FROM pages) FROM page_entities"
        )
        assert len(found) == entities
        assert ("email", f"fox{number}@example.com", 3, True) in found
        with pytest.raises(ProjectUnknown):
            run(services, warc, project="other")
        with pytest.raises(InputUnreadable):
            run(services, warc / "nothing")


def test_a_reason_is_overridden_by_name(opened, warc):
    with opened(**LAKELESS) as services:
        ingest(services, warc)
        run(services, warc)
        report = run(services, warc, included=frozenset({"list_page", "digest"}))
        assert (report.counts.considered, report.counts.extracted) == (2, 2)
        decided = rows(
            services,
            "SELECT reason, overridden FROM extraction_decisions WHERE reason IN ('list_page', 'digest')",
        )
        assert sorted(decided) == [("digest", True), ("list_page", True)]
        # The text of a page is worth a second page where somebody says so.
        report = run(services, warc, included=frozenset({"same_text", "duplicate"}))
        assert (report.counts.considered, report.counts.extracted) == (3, 3)


def test_a_revisit_becomes_the_page_of_what_it_repeats(opened, tmp_path):
    file = WarcFile()
    original = file.add("http://site-0.com/tag/foxes/", "20200101000000", story(7))
    file.add("http://site-0.com/seven", "20210101000000", b"", record_type="revisit", digest=original.digest)
    (tmp_path / "a.warc.gz").write_bytes(file.data)
    with opened(**LAKELESS) as services:
        ingest(services, tmp_path / "a.warc.gz")
        report = run(services, tmp_path / "a.warc.gz")
        assert report.counts.filtered == {"list_page": 1}
        [page] = rows(services, STORED)
        assert (page[0], str(page[1]), page[6]) == ("http://site-0.com/seven", "2021-01-01", "Story 7")


def test_domain_time_source_and_limit_narrow_and_a_wacz_serves(opened, warc, tmp_path):
    wacz = tmp_path / "a.wacz"
    with zipfile.ZipFile(wacz, "w") as bundle:
        bundle.writestr("archive/a.warc.gz", (warc / "a.warc.gz").read_bytes())
    with opened(**LAKELESS) as services:
        ingest(services, wacz)
        assert run(services, wacz, archive_source="wayback").counts.considered == 0
        assert run(services, wacz, domain="site-1.com", limit=2).counts.considered == 2
        narrowed = run(services, wacz, domain="site-1.com")
        assert (narrowed.counts.considered, narrowed.counts.extracted) == (4, 4)
        # Without its file nobody knows where a payload lies, and that is no decision.
        report = services.extraction.run(ExtractRequest(project="news", domain="site-0.com", limit=3))
        assert report.counts.not_fetched == {"no_way": 3}
        assert run(services, wacz).counts.extracted == 6


def test_two_runs_at_once_share_the_captures(opened, warc):
    with opened(**LAKELESS) as services:
        ingest(services, warc)

    def extract(_):
        with opened(CHRONOLAKE_PAGE_BATCH=2, **LAKELESS) as own:
            return run(own, warc).counts

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(extract, range(2)))
    assert sum(count.extracted for count in counts) == 12
    with opened(**LAKELESS) as services:
        assert rows(services, "SELECT count(*), count(DISTINCT page_id) FROM pages") == [(12, 12)]
        one = rows(services, "SELECT sum(entity_count) FROM pages") == rows(
            services, "SELECT count(*) FROM page_entities"
        )
        assert one


def test_no_room_for_a_staged_file_keeps_nothing_of_its_batch(opened, warc, monkeypatch):
    def stage(*_):
        raise StorageFull("no room left")

    with opened(**LAKELESS) as services:
        ingest(services, warc)
        monkeypatch.setattr(dual_write, "stage", stage)
        with pytest.raises(StorageFull):
            run(services, warc)
        assert rows(services, "SELECT count(*) FROM pages") == [(0,)]
        assert rows(services, "SELECT state, stored FROM imports ORDER BY id DESC LIMIT 1") == [("failed", 0)]
        monkeypatch.undo()
        assert run(services, warc).counts.extracted == 12
