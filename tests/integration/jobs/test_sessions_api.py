"""Sessions over HTTP: what is asked for there is what the command line lists, and refusals say what to do."""

import asyncio

import httpx
import pytest

from chronolake.api import create_app
from chronolake.api.sessions import PATH

pytestmark = pytest.mark.anyio
WANTED = {"project": "news", "domain": "example.com"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def client(services):
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as opened:
        yield opened


async def test_asked_for_listed_paused_resumed_and_collected(client, services):
    asked = await client.post(PATH, json=WANTED | {"filters": ["status:200"], "start": "2019"})
    assert asked.status_code == 202, asked.text
    where = asked.headers["location"]
    assert asked.json()["state"] == "waiting"
    assert (await client.post(f"{where}/pause")).json()["state"] == "paused"
    [listed] = (await client.get(PATH, params={"state": "paused", "project": "news"})).json()["data"]
    assert listed == (await client.get(where)).json()
    assert (await client.post(f"{where}/resume")).json()["state"] == "waiting"
    assert 'chronolake_jobs{queue="collect",state="todo"} 1.0' in (await client.get("/metrics")).text
    await asyncio.to_thread(services.jobs.worker(once=True).step)
    done = (await client.get(where)).json()
    assert (done["state"], done["stored"], done["error"]) == ("done", 250, None)
    assert 'chronolake_jobs_oldest_due_seconds{queue="collect"} 0.0' in (await client.get("/metrics")).text


async def test_refusals(client):
    async def refused(answer):
        problem = answer.json()
        return answer.status_code, problem["type"].rpartition(":")[2], problem.get("hint")

    session = (await client.post(PATH, json=WANTED)).headers["location"]
    assert (await client.post(f"{session}/cancel")).json()["state"] == "cancelled"
    assert (await refused(await client.post(f"{session}/resume")))[:2] == (409, "SessionEnded")
    assert (await refused(await client.post(f"{PATH}/4711/pause")))[:2] == (404, "SessionUnknown")
    assert (await refused(await client.post(PATH, json=WANTED | {"domain": ""})))[:2] == (
        422,
        "ArchiveQueryInvalid",
    )
    status, kind, hint = await refused(await client.post(PATH, json=WANTED | {"filter": "status:200"}))
    assert (status, kind) == (422, "ParameterInvalid")
    assert "filters" in hint
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await client.post(f"{session}/cancel", headers=headers)).status_code == 403
