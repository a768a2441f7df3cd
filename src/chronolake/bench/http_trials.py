"""Questions over HTTP, one after the other: what a user waits for, and where each answer came from.

Which of cache, rollup and captures answered is told by `meta` of each answer, not assumed. Answers that a trial was to
have from elsewhere are counted apart, and a trial with one of them proves nothing.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from chronolake.bench.serving import Server, path_of
from chronolake.bench.timing import Timing
from chronolake.errors import EngineUnavailable
from chronolake.lake.engine import Engine as DuckDBEngine
from chronolake.query import QUESTIONS, HybridQueryRouter, Scope
from chronolake.query.route import Engine
from chronolake.query.text import written

TIMELINE = "domain_timeline"
_META = b'"meta":'


@dataclass(frozen=True)
class HttpTrial:
    """The times of some requests. `came_from` counts the answers by where they came from."""

    name: str
    timing: Timing
    came_from: Mapping[str, int] = field(default_factory=dict)

    def all_from(self, *places: str) -> bool:
        """Whether every answer came from there."""
        return bool(self.came_from) and set(self.came_from) <= set(places)


def came_from(meta: Mapping[str, Any]) -> str:
    """Where an answer came from: cache, rollup, or the engine that read the captures."""
    if meta["cached"]:
        return "cache"
    return "rollup" if meta["rollups"] else str(meta["engine"])


def meta_of(body: bytes) -> dict[str, Any]:
    """The `meta` of an answer, which stands at its end; the rows before it are not read."""
    found: dict[str, Any] = json.loads(body[body.rindex(_META) + len(_META) : -1])
    return found


def floor(client: httpx.Client, repeat: int) -> HttpTrial:
    """What a request costs that asks nothing: client, loopback and the server's front."""
    return HttpTrial("floor", Timing("http", tuple(_get(client, "/health/live")[0] for _ in range(repeat))))


def asked(
    client: httpx.Client,
    server: Server,
    name: str,
    params: Sequence[Mapping[str, Any]],
    *,
    warm: Mapping[str, Any],
) -> HttpTrial:
    """Ask the question `name` once for each of `params`, after asking it once for `warm`."""
    question = QUESTIONS[name]
    _get(client, path_of(server.prefix, question, dict(warm)))
    runs, places = [], Counter[str]()
    for given in params:
        elapsed, body = _get(client, path_of(server.prefix, question, dict(given)))
        runs.append(elapsed)
        places[came_from(meta_of(body))] += 1
    return HttpTrial(name, Timing("http", tuple(runs)), dict(places))


def beside_bare(
    client: httpx.Client, server: Server, bare: DuckDBEngine, domains: Sequence[str]
) -> tuple[HttpTrial, HttpTrial]:
    """The timeline of each domain over HTTP from the captures, and by bare DuckDB from one file, in turns."""
    question = QUESTIONS[TIMELINE]
    text = written(question, Engine.DUCKDB, scoped=False)

    def over_http(domain: str) -> tuple[float, str, int]:
        given = {"domain": domain, "engine": "duckdb"}
        elapsed, body = _get(client, path_of(server.prefix, question, given))
        return elapsed, came_from(meta_of(body)), len(json.loads(body)["data"])

    def by_bare(domain: str) -> tuple[float, str, int]:
        values = question.params.model_validate({"domain": domain}).model_dump()
        values.pop("project")
        started = time.perf_counter()
        with bare.cursor() as cursor:
            rows = cursor.execute(text, values).fetchall()
        return time.perf_counter() - started, "duckdb_file", len(rows)

    ways: dict[str, Callable[[str], tuple[float, str, int]]] = {"http": over_http, "duckdb_file": by_bare}
    runs: dict[str, list[float]] = {name: [] for name in ways}
    places: dict[str, Counter[str]] = {name: Counter() for name in ways}
    for turn, domain in enumerate([domains[0], *domains]):
        given = {}
        for name in ways if turn % 2 else reversed(ways):
            elapsed, place, given[name] = ways[name](domain)
            # The first round warms.
            if turn:
                runs[name].append(elapsed)
                places[name][place] += 1
        if given["http"] != given["duckdb_file"]:
            raise EngineUnavailable(
                f"the timeline of {domain} is not the same over HTTP and in the file: {given}"
            )
    http, alone = (HttpTrial(TIMELINE, Timing(name, tuple(runs[name])), dict(places[name])) for name in ways)
    return http, alone


def cached_in_process(router: HybridQueryRouter, params: Mapping[str, Any], repeat: int) -> HttpTrial:
    """The same timeline again and again from the router in this process, once it has been asked."""

    async def ask() -> HttpTrial:
        runs, places = [], Counter[str]()
        await router.ask(TIMELINE, params, scope=Scope.everything())
        for _ in range(repeat):
            started = time.perf_counter()
            answer = await router.ask(TIMELINE, params, scope=Scope.everything())
            runs.append(time.perf_counter() - started)
            places[came_from(answer.meta.model_dump())] += 1
        return HttpTrial(TIMELINE, Timing("router", tuple(runs)), dict(places))

    return asyncio.run(ask())


def _get(client: httpx.Client, path: str) -> tuple[float, bytes]:
    """Seconds until the whole answer is here, and the answer.

    Raises:
        EngineUnavailable: it is no answer but a problem.
    """
    started = time.perf_counter()
    answer = client.get(path)
    elapsed = time.perf_counter() - started
    if answer.status_code != httpx.codes.OK:
        raise EngineUnavailable(f"GET {path} was answered with {answer.status_code}: {answer.text[:500]}")
    return elapsed, answer.content
