"""What archives really answered, as others recorded it: each is understood, and cut anywhere it is refused."""

import io
import json
from pathlib import Path

import pytest

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Unusable, index_lines, timemap, wayback_json
from chronolake.sources.cdx_server import contents
from chronolake.sources.commoncrawl import _counted
from chronolake.sources.crawls import crawl, listed, within
from chronolake.sources.local import read_stream
from chronolake.sources.query import Query
from chronolake.sources.status import outcome_of

DATA = Path(__file__).parents[3] / "shared" / "data"
MOCKS = DATA / "cocrawler__cdx_toolkit/tests/data/mock_responses"
DECODED = DATA / "edgi-govdata-archiving__wayback/decoded"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason="the real files are not beside the checkout"),
]


def answer(body, status=200):
    return Answer("http://archive/", status, {}, io.BytesIO(body), len(body))


def recorded(name):
    for line in (MOCKS / name).read_text().splitlines():
        found = json.loads(line)
        yield found["request_params"], answer(found["response_text"].encode(), found["response_status_code"])


def read(found):
    found.body.seek(0)
    batches = read_stream(found.body, "recorded", max_line_bytes=1 << 20, batch_rows=1000)
    return sum(batch.read for batch in batches)


def test_wayback_in_json():
    for _, found in recorded("test_cli/test_multi_ia.jsonl"):
        held = wayback_json(found)
        assert held.rows == read(found) == 10
        body = found.body.getvalue().rstrip()
        for end in range(1, len(body), 7):
            with pytest.raises(Unusable):
                wayback_json(answer(body[:end]))


def test_common_crawl():
    [(_, collinfo)] = recorded("test_cc/test_get_cc_endpoints.jsonl")
    crawls = [crawl(entry) for entry in listed(collinfo).document]
    assert len(crawls) > 100
    assert within(crawls, Query.parse("example.com")) == crawls
    some = within(crawls, Query.parse("example.com", start="2014", end="2014"))
    assert {found.name[:12] for found in some} == {"CC-MAIN-2014"}
    autumn = within(crawls, Query.parse("example.com", start="20250816"))
    assert [found.name for found in autumn] == []
    [(_, counted)] = recorded("test_cli/test_multi_misc_not_ia_slow_4.jsonl")
    assert _counted(counted).document == 1
    (_, nothing), (_, beyond) = recorded("test_cli/test_multi_cc1_slow_2.jsonl")
    assert contents(nothing).outcome is Outcome.EMPTY
    assert contents(beyond) is None
    assert outcome_of(beyond.status, asks_for_pause=False) is Outcome.CLIENT_ERROR
    for _, found in recorded("test_cli/test_basics.jsonl"):
        assert index_lines(found).rows == read(found) == 10


@pytest.mark.parametrize("name", ["energystar.gov_2f-f8c3d1", "nasa.gov-03ef61"])
def test_a_timemap_of_wayback(name):
    found = answer((DECODED / f"timemapjson-{name}.200.json").read_bytes())
    assert timemap(found).rows == read(found)


def test_a_blocked_site():
    [path] = DECODED.glob("*.403.txt")
    found = answer(path.read_bytes(), 403)
    assert contents(found) is None
    assert outcome_of(found.status, asks_for_pause=False) is Outcome.BLOCKED
    with pytest.raises(Unusable):
        wayback_json(found)
