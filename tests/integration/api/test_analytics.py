"""The analytics paths: what they answer, and how they refuse."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chronolake.query import QUESTIONS
from chronolake.query.question import history

pytestmark = pytest.mark.anyio
BASE = "/api/v1/analytics"
META = {"engine", "reason", "as_of_lsn", "as_of", "lag_s", "rows_read", "elapsed_ms", "cached", "notes"}


@pytest.mark.parametrize("engine", ["auto", "duckdb", "postgres"])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/domains/www.host-1.com/timeline", "domain_timeline"),
        ("/projects/news/performance", "project_performance"),
        ("/projects/1/performance", "project_performance"),
        ("/content/quality-distribution", "content_quality_distribution"),
        ("/archive-sources/comparison", "archive_sources_comparison"),
    ],
)
async def test_the_plans_paths_answer_in_the_envelope(client, path, name, engine):
    answer = await client.get(f"{BASE}{path}", params={"engine": engine})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"data", "meta"}
    assert set(body["meta"]) >= META
    assert body["meta"]["engine"] == ("postgres" if engine == "postgres" else "duckdb")
    assert all(set(row) == set(QUESTIONS[name].row.model_fields) for row in body["data"])
    if "content" not in path:
        assert sum(row["captures"] for row in body["data"]) == (30 if "domains" in path else 120)


async def test_times_say_that_they_are_utc(client):
    body = (await client.get(f"{BASE}/domains/host-1.com/timeline?interval=year")).json()
    assert body["data"][0]["period"] == "2011-01-01T00:00:00Z"
    assert body["data"][0]["first"] == "2011-01-02T03:04:05Z"
    assert body["meta"]["as_of"].endswith("Z")


async def test_parameters_follow_in_the_query(client):
    path = f"{BASE}/domains/host-1.com/timeline"
    body = (await client.get(path, params={"interval": "year", "start": "2013", "end": "2015"})).json()
    assert [row["period"] for row in body["data"]] == ["2013-01-01T00:00:00Z", "2015-01-01T00:00:00Z"]
    body = (await client.get(f"{BASE}/archive-sources/comparison", params={"project": "news"})).json()
    assert [row["archive_source"] for row in body["data"]] == ["local"]


@pytest.mark.parametrize("name", [question.name for question in history.QUESTIONS])
async def test_the_paths_of_change_answer(client, name):
    params = {"domain": "www.host-1.com", "start": "2011", "end": "2012"}
    if name == "compare_periods":
        params |= {"other_start": "2013", "other_end": "2014"}
    answer = await client.get(f"{BASE}{QUESTIONS[name].path}", params=params)
    assert answer.status_code == 200, answer.text
    assert all(set(row) == set(QUESTIONS[name].row.model_fields) for row in answer.json()["data"])


async def test_every_question_is_listed_and_answers(client):
    listed = (await client.get(f"{BASE}/questions")).json()["data"]
    assert [entry["name"] for entry in listed] == list(QUESTIONS)
    for entry in listed:
        assert all(entry["parameters"].values())
        assert all(entry["columns"].values())
        needed = {
            "domain": "host-1.com",
            "project": "news",
            "projects": "news",
            "start": "2011",
            "end": "2012",
            "metric": "chronolake_cache_bytes",
        }
        needed |= {"other_start": "2013", "other_end": "2014"}
        params = {name: value for name, value in needed.items() if name in entry["parameters"]}
        answer = await client.get(f"{BASE}/questions/{entry['name']}", params=params)
        assert answer.status_code == 200, answer.text
        assert all(set(row) == set(entry["columns"]) for row in answer.json()["data"])


async def test_parameters_may_stand_in_a_body(client):
    path = f"{BASE}/projects/comparison"
    asked = {"projects": ["news", 1], "start": 2011, "end": None}
    body = (await client.post(path, params={"engine": "postgres"}, json=asked)).json()
    assert body["meta"]["engine"] == "postgres"
    assert [(row["project"], row["captures"]) for row in body["data"]] == [("news", 108)]
    by_name = await client.get(
        f"{BASE}/questions/projects_comparison",
        params={"projects": "news,1", "start": "2011", "engine": "postgres"},
    )
    assert by_name.json()["data"] == body["data"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b'{"projects": ', "not JSON"),
        (b'{"projects": "\xff"}', "not JSON"),
        (b'{"projects": "\\ud800"}', "not JSON"),
        (b'{"projects": NaN}', "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'["news"]', "no JSON object"),
        (b"null", "no JSON object"),
        (b"{}", "needs projects"),
        (b'{"project": "news"}', "no parameter project"),
        (b'{"projects": ["news"], "engine": "duckdb"}', "no parameter engine"),
        (b'{"' + b"x" * 60_000 + b'": 1}', "no parameter xxx"),
        (b'{"projects": []}', "projects"),
        (b'{"projects": {"news": 1}}', "projects"),
        (b'{"projects": [["news"]]}', "projects"),
        (b'{"projects": ["news", "sports"]}', "no project 'sports'"),
        (b'{"projects": "news,"}', "projects"),
        (b'{"projects": ["news"], "start": "2015", "end": "2014"}', "2015"),
    ],
)
async def test_a_body_that_says_no_question_is_a_problem(client, problem, body, told):
    document = problem(await client.post(f"{BASE}/projects/comparison", content=body), 422)
    assert told in document["detail"]
    assert len(document["detail"]) < 1000
    assert document["hint"]


async def test_a_body_is_bounded_and_alone_holds_the_parameters(client, problem):
    path = f"{BASE}/projects/comparison"

    async def endless():
        while True:
            yield b" " * 4096

    document = problem(await client.post(path, content=endless()), 413)
    assert "65536 bytes" in document["detail"]
    document = problem(await client.post(path, params={"projects": "news"}, json={}), 422)
    assert (document["parameter"], "body" in document["hint"]) == ("projects", True)
    assert problem(await client.get(path), 405)["title"] == "Method Not Allowed"


async def test_a_body_is_described(client):
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"][f"{BASE}/projects/comparison"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == [
        "engine",
        "as_of",
        "min_lsn",
        "max_lag",
    ]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert (body["required"], body["additionalProperties"]) == (["projects"], False)
    assert body["properties"]["projects"] | {"description": ""} == {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": 50,
        "description": "",
    }
    assert "<code>projects</code> in the body" in (await client.get("/docs")).text


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/domains/host-1.com/timeline?interval=moon", 422, "moon"),
        ("/domains/host-1.com/timeline?intervall=year", 422, "intervall"),
        ("/domains/host-1.com/timeline?start=201413", 422, "201413"),
        ("/domains/host-1.com/timeline?start=2015&end=2014", 422, "2015"),
        ("/domains/host-1.com/timeline?start=2014&start=2015", 422, "more than once"),
        ("/domains/host-1.com/timeline?domain=host-2.com", 422, "path"),
        ("/domains/host-1.com/timeline?engine=spark", 422, "spark"),
        ("/history/change-rate", 422, "domain"),
        ("/history/compare-periods?domain=host-1.com&start=2014&end=2015&other_start=2016", 422, "other_end"),
        ("/domains/%20/timeline", 422, "domain"),
        ("/domains/a%00b/timeline", 422, "domain"),
        ("/domains/%FF%FE/timeline?end=x", 422, "end"),
        ("/projects/sports/performance", 422, "sports"),
        ("/projects/a%00b/performance", 422, "project"),
        ("/archive-sources/comparison?project=", 422, "project"),
        ("/questions/top_domains?limit=0", 422, "limit"),
        ("/questions/top_domain", 404, "top_domain"),
        ("/nothing", 404, "nothing"),
        ("", 404, "nothing"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(client, problem, path, status, told):
    document = problem(await client.get(BASE + path), status)
    assert told in document["detail"]
    assert document["instance"].startswith(BASE)


async def test_a_problem_names_the_error_the_parameter_and_the_remedy(client, problem):
    document = problem(await client.get(f"{BASE}/domains/host-1.com/timeline?intervall=year"), 422)
    assert document["type"] == "urn:chronolake:error:ParameterInvalid"
    assert document["parameter"] == "intervall"
    assert "Did you mean interval?" in document["hint"]
    assert document["retry"] == "never"


async def test_a_method_that_is_not_there_is_a_problem(client, problem):
    answer = await client.post(f"{BASE}/questions")
    assert problem(answer, 405)["title"] == "Method Not Allowed"
    assert answer.headers["allow"] == "GET"


async def test_an_engine_that_is_not_there_is_a_problem_to_be_tried_again(
    make_client, services, make_router, problem
):
    without = dataclasses.replace(services, router=make_router(None))
    async with make_client(without) as client:
        path = f"{BASE}/archive-sources/comparison"
        answer = await client.get(path, params={"engine": "duckdb"})
        assert problem(answer, 503)["retry"] == "later"
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(path)).json()["meta"]["engine"] == "postgres"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/domains/{}/timeline", "/projects/{}/performance", "/questions/{}"]),
    value=st.text(max_size=40),
    name=st.sampled_from(["start", "end", "interval", "project", "limit", "engine", "x"]),
)
def test_no_text_makes_the_server_fail(services, make_client, path, value, name):
    async def ask():
        async with make_client(services) as client:
            written = quote(value.encode("utf-8", "surrogatepass"), safe="")
            return (
                await client.get(BASE + path.format(written)),
                await client.get(f"{BASE}/questions/captures_by_month?{name}={written}"),
            )

    for answer in asyncio.run(ask()):
        assert answer.status_code in {200, 404, 422}, answer.text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=9,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=50)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["projects", "start", "end", "x"]), _JSON).map(
        lambda value: json.dumps({"projects": "news"} | value).encode()
    )
)
@example(body=b'{"projects": 1' + b"0" * 5000 + b"}")
@example(body=b'{"projects": [1' + b"0" * 5000 + b"]}")
@example(body=b'{"projects": "news", "start": 1' + b"0" * 4000 + b"}")
@example(body=b'{"projects": "news", "start": ' + b"[" * 150 + b"]" * 150 + b"}")
def test_no_body_makes_the_server_fail(services, make_client, body):
    async def ask():
        async with make_client(services) as client:
            return await client.post(f"{BASE}/projects/comparison", content=body)

    answer = asyncio.run(ask())
    assert answer.status_code in {200, 422}, answer.text
    assert len(answer.text) < 10_000


@pytest.mark.anyio
async def test_a_past_state_can_be_asked_for(client):
    now = datetime.now(UTC).isoformat()
    then = await client.get(f"{BASE}/questions/source_status", params={"as_of": now})
    assert then.json()["meta"]["reason"] == "only the lake keeps past states"
    gone = await client.get(f"{BASE}/questions/source_status", params={"as_of": "2020-01-01"})
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:chronolake:error:SnapshotExpired")
    refused = await client.get(f"{BASE}/questions/source_status", params={"as_of": now, "engine": "postgres"})
    assert (refused.status_code, refused.json()["parameter"]) == (422, "as_of")
