"""The plan's own face of the engine: records in, statistics out, over the real stores."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chronolake.duckdb_service import CDXAnalyticsQuery, CDXRecord, TimeRange
from chronolake.errors import ParameterInvalid, QuestionUnknown
from chronolake.query import Scope
from chronolake.services import open_services
from chronolake.testing import INGESTED, differences

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def services(database, make_settings):
    with open_services(make_settings()) as opened:
        yield opened


def record(number, instant, **given):
    return CDXRecord(url=f"https://www.example.com/{number}", timestamp=instant, **given)


RECORDS = [
    record(1, datetime(2020, 1, 31, 23, 59, 59), status_code=200, content_length=100, digest="A" * 32),
    record(2, datetime(2020, 2, 1, tzinfo=UTC), status_code=404, content_length=50),
    # Two o'clock in Paris is one o'clock here.
    record(
        3,
        datetime(2020, 2, 1, 2, tzinfo=timezone(timedelta(hours=1))),
        status_code=200,
        mime_type="text/html",
    ),
    record(4, datetime(2020, 3, 1, 0, 0, 0, 500_000), mime_type="warc/revisit", digest="A" * 32),
]


async def test_records_go_into_both_stores_and_come_back_as_statistics(services):
    report = await services.duckdb.bulk_insert_cdx_records(RECORDS, project="news")
    assert report.counts.stored == 4
    assert differences(services.database, services.lake, INGESTED) == []
    again = await services.duckdb.bulk_insert_cdx_records(RECORDS, project="news")
    assert again.counts.duplicate == 4

    stats = await services.duckdb.get_domain_statistics("example.com", TimeRange(), scope=Scope.everything())
    assert (stats.captures, stats.ok, stats.revisits, stats.bytes) == (4, 2, 1, 150)
    assert (stats.first, stats.last) == (
        datetime(2020, 1, 31, 23, 59, 59),
        datetime(2020, 3, 1, 0, 0, 0, 500_000),
    )
    assert [row["captures"] for row in stats.timeline] == [1, 2, 1]


async def test_a_time_range_is_inclusive(services):
    await services.duckdb.bulk_insert_cdx_records(RECORDS, project="news")
    february = TimeRange(start=datetime(2020, 2, 1), end=datetime(2020, 2, 1, 1))
    stats = await services.duckdb.get_domain_statistics("example.com", february, scope=Scope.everything())
    assert stats.captures == 2
    with pytest.raises(ParameterInvalid):
        await services.duckdb.get_domain_statistics(
            "example.com", TimeRange(start=february.end, end=february.start), scope=Scope.everything()
        )


async def test_nothing_is_seen_outside_the_scope(services):
    first = await services.duckdb.bulk_insert_cdx_records(RECORDS, project="news")
    await services.duckdb.bulk_insert_cdx_records(RECORDS[:1], project="other")
    scope = Scope(project_ids=frozenset({first.project_id}))
    stats = await services.duckdb.get_domain_statistics("example.com", TimeRange(), scope=scope)
    assert stats.captures == 4
    nobody = Scope(project_ids=frozenset())
    stats = await services.duckdb.get_domain_statistics("example.com", TimeRange(), scope=nobody)
    assert (stats.captures, stats.first) == (0, None)


async def test_a_question_of_the_catalogue(services):
    await services.duckdb.bulk_insert_cdx_records(RECORDS, project="news")
    query = CDXAnalyticsQuery(
        question="project_summary", params={"project": "news"}, scope=Scope.everything()
    )
    answer = await services.duckdb.query_cdx_analytics(query)
    assert answer.rows
    assert answer.meta.engine == "duckdb"
    unknown = CDXAnalyticsQuery(question="no_such", scope=Scope.everything())
    with pytest.raises(QuestionUnknown):
        await services.duckdb.query_cdx_analytics(unknown)
