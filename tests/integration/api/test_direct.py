"""The short way to an answer gives what the application itself would."""

import pytest

from chronolake.api.direct import Direct
from chronolake.telemetry import metrics

pytestmark = pytest.mark.anyio
BASE = "/api/v1/analytics"
PATHS = (
    "/domains/host-1.com/timeline?interval=year",
    "/domains/www.host-1.com/statistics?max_lag=600",
    "/domains/host-1.com/statistics?max_lag=600",
    "/domains/h%C3%B6st.example/timeline",
    "/domains/a%2Fb/timeline",
    "/domains/host-1.com/timeline?interval=fortnight",
    "/domains/host-1.com/timeline?domain=host-2.com",
    "/domains/host-1.com/timeline?start=2013&start=2014",
    "/domains/host-1.com/timeline?start=",
    "/domains/host-1.com/timeline/",
    "/domains//timeline",
    "/domains/top-domains?limit=3&end=2015",
    "/archive-sources/comparison?project=news&project=news",
    "/archive-sources/comparison?engine=postgres&engine=duckdb",
    "/archive-sources/comparison?project=nobody",
    "/projects/news/performance",
    "/questions",
    "/questions/project_summary?as_of=2999",
    "/questions/project_summary",
    "/questions/nothing",
    "/nothing",
)


def told(answer):
    body = answer.json()
    body.pop("request_id", None)
    # What was asked before is in the cache, and takes another time.
    meta = body.pop("meta", None)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"content-length", "x-request-id"}
    }
    return answer.status_code, headers, body, meta and set(meta)


@pytest.mark.parametrize("path", PATHS)
async def test_it_answers_as_the_application_does(client, path, monkeypatch):
    direct = told(await client.get(BASE + path))
    monkeypatch.setattr(Direct, "_found", lambda *_: None)
    assert told(await client.get(BASE + path)) == direct


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
async def test_another_method_is_the_applications(client, method):
    answer = await client.request(method, f"{BASE}/domains/host-1.com/timeline")
    assert answer.status_code == 405


async def test_it_is_counted_by_its_route(client):
    route = f"{BASE}/domains/{{domain}}/hosts"

    def count():
        labels = {"method": "GET", "route": route, "status": "200"}
        return (
            metrics.REGISTRY.get_sample_value("chronolake_http_request_duration_seconds_count", labels) or 0
        )

    before = count()
    assert (await client.get(f"{BASE}/domains/host-1.com/hosts")).status_code == 200
    assert count() == before + 1
