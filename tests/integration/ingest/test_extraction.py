"""From captures to pages through the real stores: one answer for each capture, and the same lake by either road."""

import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from chronolake.capture.columns import CONTENT_ANALYTICS, PAGE_ENTITIES
from chronolake.errors import InputUnreadable, ProjectUnknown, StorageFull
from chronolake.ingest import ExtractRequest, IngestRequest, dual_write
from chronolake.services import open_services
from chronolake.testing import differences
from chronolake.testing.warc import WarcFile

PAGES = (CONTENT_ANALYTICS, PAGE_ENTITIES)
SENTENCE = "The fox number {n} crossed the quiet river near Berlin on 12 May 2019 and paid $ {n}5.50 to info{n}@example.com. "
MORE = (
    "Nobody in the village had seen such an animal before, and the people who live there talked about it for many days. "
    "It was a bright morning, the water was low, and the stones lay dry in the sun. "
)


def html(number, words=""):
    text = "".join(f"<p>{SENTENCE.format(n=number)}{MORE}{words}</p>" for _ in range(3))
    return (
        f"<html><head><title>Story {number}</title></head><body><h1>Story {number}</h1>{text}"
        f'<a href="http://example.org/{number}">more</a></body></html>'
    ).encode()


def at(number):
    return f"2020{number % 12 + 1:02d}{number % 28 + 1:02d}030405"


def made(count=12):
    """A WARC of stories of two domains, and one capture of each kind that becomes no page."""
    file = WarcFile()
    for number in range(count):
        file.add(
            f"http://{'www.' if number % 2 else ''}site-{number % 2}.com/story/{number}",
            at(number),
            html(number),
        )
    again = file.written[0]
    file.add("http://site-0.com/copy", "20210101000000", html(0))
    file.add(
        "http://site-0.com/story/1000?print=1", "20210102000000", html(1) + b"<!-- other bytes, same text -->"
    )
    file.add("http://site-0.com/gone", "20210103000000", b"<p>not here</p>", status="404 Not Found")
    file.add("http://site-0.com/logo.png", "20210104000000", b"\x89PNG", header=("Content-Type: image/png",))
    file.add("http://site-0.com/tag/foxes/", "20210105000000", html(98))
    file.add("http://site-0.com/story/0", "20210106000000", b"", record_type="revisit", digest=again.digest)
    file.add("http://site-0.com/story/0", "20210107000000", b"", record_type="revisit", digest="B" * 32)
    file.add("http://site-0.com/empty", "20210108000000", b"")
    file.add("http://site-0.com/wrong", "20210109000000", html(99), digest="C" * 32)
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


def test_every_capture_gets_one_answer_and_both_stores_hold_it(opened, warc):
    with opened() as services:
        ingest(services, warc)
        report = run(services, warc)
        counts = report.counts
        assert (counts.considered, counts.extracted, report.in_lake) == (22, 12, True)
        assert counts.filtered == FILTERED
        assert counts.not_fetched == {"digest": 1}
        assert counts.failed.total() == 1
        assert differences(services.database, services.lake, PAGES) == []
        [page] = [row for row in rows(services, STORED) if row[0].endswith("/story/3")]
        (
            _,
            _,
            content_hash,
            words,
            entities,
            language,
            title,
            text,
            simhash,
            mime,
            charset,
            links,
            listed,
            *_,
        ) = page
        assert (language or "en", title, mime, charset.lower(), links) == (
            "en",
            "Story 3",
            "text/html",
            "utf-8",
            1,
        )
        assert "fox number 3" in text
        assert len(content_hash) == 64
        assert words > 50
        assert isinstance(simhash, int)
        assert listed == ["http://example.org/3"]
        assert entities == len(
            rows(services, "SELECT FROM page_entities JOIN pages USING (page_id) WHERE url LIKE '%%/story/3'")
        )
        assert entities >= 0
        decided = rows(
            services, "SELECT reason, count(*)::int, bool_or(overridden) FROM extraction_decisions GROUP BY 1"
        )
        assert {reason: count for reason, count, _ in decided} == FILTERED | {"digest": 1}
        assert not any(overridden for *_, overridden in decided)
        [(kind, detail, tries)] = rows(services, "SELECT kind, detail, tries FROM page_failures")
        assert (kind, tries) == (next(iter(counts.failed)), 1)
        assert detail
        [account] = rows(
            services, "SELECT state, read, stored, rejected FROM imports ORDER BY id DESC LIMIT 1"
        )
        assert account == ("done", 13, 12, 1)
        # A second time there is nothing to look at.
        again = run(services, warc)
        assert again.counts.considered == 0
        assert differences(services.database, services.lake, PAGES) == []
        with pytest.raises(ProjectUnknown):
            run(services, warc, project="other")
        with pytest.raises(InputUnreadable):
            run(services, warc / "nothing")


def test_without_dual_write_the_stream_brings_the_same(opened, warc):
    held = []
    for dual in (True, False):
        with opened(ENABLE_DUAL_WRITE=dual) as services:
            project = f"dual {dual}"
            ingest(services, warc, project)
            staged = rows(services, "SELECT count(*) FROM ledger WHERE table_name = 'content_analytics'")
            report = run(services, warc, project)
            more = rows(services, "SELECT count(*) FROM ledger WHERE table_name = 'content_analytics'")
            assert (more > staged) is dual
            assert report.in_lake
            assert differences(services.database, services.lake, PAGES) == []
            with services.lake.cursor() as cursor:
                held.append(
                    cursor.execute(
                        "SELECT url, content_hash, word_count, entity_count, simhash, mime_detected, charset, published,"
                        " link_count, language, quality_score FROM content_analytics WHERE project_id = ? ORDER BY url",
                        [report.project_id],
                    ).fetchall()
                )
    assert len(held[0]) == 12
    assert held[0] == held[1]


def test_a_page_extracted_again_takes_the_place_of_the_old_one_in_both_stores(opened, warc):
    with opened() as services:
        ingest(services, warc)
        run(services, warc)
        before, entities = rows(services, STORED), rows(services, ENTITIES)
        with services.database.connection() as conn:
            conn.execute(
                "UPDATE pages SET title = 'old', word_count = 1, text = 'old' WHERE url LIKE '%%/story/4'"
            )
            conn.execute("DELETE FROM page_entities WHERE kind = 'email'")
        report = run(services, warc, again=True)
        assert (report.counts.considered, report.counts.extracted) == (22, 12)
        assert report.counts.filtered == FILTERED
        assert rows(services, STORED) == before
        assert rows(services, ENTITIES) == entities
        assert rows(services, "SELECT tries FROM page_failures") == [(2,)]
        assert differences(services.database, services.lake, PAGES) == []


def test_a_reason_is_overridden_by_name(opened, warc):
    with opened() as services:
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
        assert differences(services.database, services.lake, PAGES) == []


def test_a_revisit_becomes_the_page_of_what_it_repeats(opened, tmp_path):
    file = WarcFile()
    original = file.add("http://site-0.com/tag/foxes/", "20200101000000", html(7))
    file.add("http://site-0.com/seven", "20210101000000", b"", record_type="revisit", digest=original.digest)
    (tmp_path / "a.warc.gz").write_bytes(file.data)
    with opened() as services:
        ingest(services, tmp_path / "a.warc.gz")
        report = run(services, tmp_path / "a.warc.gz")
        assert report.counts.filtered == {"list_page": 1}
        [page] = rows(services, STORED)
        assert (page[0], str(page[1]), page[6]) == ("http://site-0.com/seven", "2021-01-01", "Story 7")


def test_domain_time_source_and_limit_narrow_and_a_wacz_serves(opened, warc, tmp_path):
    wacz = tmp_path / "a.wacz"
    with zipfile.ZipFile(wacz, "w") as bundle:
        bundle.writestr("archive/a.warc.gz", (warc / "a.warc.gz").read_bytes())
    with opened() as services:
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
    with opened() as services:
        ingest(services, warc)

    def extract(_):
        with opened(CHRONOLAKE_PAGE_BATCH=2) as own:
            return run(own, warc).counts

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(extract, range(2)))
    assert sum(count.extracted for count in counts) == 12
    with opened() as services:
        services.sync.reach()
        assert rows(services, "SELECT count(*), count(DISTINCT page_id) FROM pages") == [(12, 12)]
        one = rows(services, "SELECT sum(entity_count) FROM pages") == rows(
            services, "SELECT count(*) FROM page_entities"
        )
        assert one
        assert differences(services.database, services.lake, PAGES) == []


def test_no_room_for_a_staged_file_keeps_nothing_of_its_batch(opened, warc, monkeypatch):
    def stage(*_):
        raise StorageFull("no room left")

    with opened() as services:
        ingest(services, warc)
        monkeypatch.setattr(dual_write, "stage", stage)
        with pytest.raises(StorageFull):
            run(services, warc)
        assert rows(services, "SELECT count(*) FROM pages") == [(0,)]
        assert rows(services, "SELECT state, stored FROM imports ORDER BY id DESC LIMIT 1") == [("failed", 0)]
        monkeypatch.undo()
        assert run(services, warc).counts.extracted == 12
        assert differences(services.database, services.lake, PAGES) == []
