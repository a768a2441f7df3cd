"""The result cache: answers of the lake, kept for as long as they are true.

A key names the question and its text, the parameters, the projects in scope, and the state of the tables that are read.
So an answer is never served to a scope that it was not computed for, nor once these tables have changed; nothing has to
be thrown out in time, old keys are just no longer asked for. Two shelves: this process's memory, and Redis where there
is one, which processes share. A Redis that fails is let alone for a while: answers come slower, not wrong.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic
from typing import Any

import pyarrow as pa
import redis
from pyarrow import ipc

from chronolake.query.freshness import Freshness, State
from chronolake.query.json_rows import JsonRows
from chronolake.query.question import Question
from chronolake.query.question.columns import arrow_schema
from chronolake.query.scope import Scope
from chronolake.settings import CacheSettings
from chronolake.telemetry import logs, metrics

Rows = list[dict[str, Any]]

#: Seconds that Redis may take, and that it is let alone after it failed.
REDIS_TIMEOUT_S = 0.25
REDIS_PAUSE_S = 5.0
#: Of the memory, the most that one answer may take.
_LARGEST_SHARE = 8
#: Under this name an answer's bytes have the names of the rollups, with commas between them.
_ROLLUPS = b"chronolake:rollups"

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """Rows of an answer, the names of the rollups that they were read from, and both as they are kept.

    The newest answers may be kept as JSON beside; where somebody wants that, `rows` are left packed and empty.
    """

    rows: Rows
    rollups: tuple[str, ...]
    packed: bytes
    json: JsonRows | None = None

    @classmethod
    def of(
        cls, rows: Rows, question: Question, rollups: Sequence[str] = (), json: JsonRows | None = None
    ) -> "Kept":
        """An answer that is to be kept."""
        return cls(rows, tuple(rollups), _packed(rows, question, rollups), json)


@dataclass(frozen=True)
class _Newest:
    """Of an answer for those who allow a lag: how fresh it was, how many values it has, and what JSON needs."""

    fresh: Freshness
    values: int
    rollups: tuple[str, ...]
    json: JsonRows | None


@dataclass(frozen=True)
class _Held:
    """An answer in memory."""

    packed: bytes
    newest: _Newest | None = None

    @property
    def bytes(self) -> int:
        """What it takes."""
        json = self.newest.json if self.newest else None
        return len(self.packed) + (len(json.text) if json else 0)


def key_of(
    question: Question,
    values: Mapping[str, Any],
    scope: Scope,
    state: State | None,
    live: str | None = None,
) -> str:
    """The name of an answer: equal for equal questions about equal data, and for no others.

    `state` is that of the tables which the question reads, as `Freshness.of_tables` tells it; null names the newest
    answer there is, whatever it is true of. `live` is that of rows which come from PostgreSQL.
    """
    projects = None if scope.project_ids is None else sorted(scope.project_ids)
    told = [question.name, question.sql, sorted((name, str(value)) for name, value in values.items())]
    words = json.dumps([*told, projects, state, live], ensure_ascii=True)
    return blake2b(words.encode(), digest_size=20).hexdigest()


class ResultCache:
    """Answers by key. Thread-safe; `instance` tells this database's answers from those of others in one Redis."""

    def __init__(self, settings: CacheSettings, *, instance: str) -> None:
        self._most = settings.most_bytes
        self._lifetime_s = settings.lifetime_s
        self._prefix = f"chronolake:{instance}:answer:"
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._redis: redis.Redis | None = None
        self._redis_rests_until = 0.0
        if settings.redis_url is not None and self._most:
            self._redis = redis.Redis.from_url(
                settings.redis_url.get_secret_value(),
                socket_timeout=REDIS_TIMEOUT_S,
                socket_connect_timeout=REDIS_TIMEOUT_S,
            )

    def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            self._redis.close()

    def get(self, key: str, question: Question) -> Kept | None:
        """The answer of that name, null where none is kept."""
        shelf, held = "memory", self._from_memory(key)
        if held is None:
            shelf, packed = "redis", self._from_redis(key)
            kept = None if packed is None else _unpacked(packed, question)
            if kept is None:
                metrics.CACHE_LOOKUPS.labels(outcome="miss").inc()
                return None
            self._into_memory(key, _Held(kept.packed))
        else:
            kept = _unpacked(held.packed, question)
        metrics.CACHE_LOOKUPS.labels(outcome=shelf).inc()
        return kept

    def in_memory(self, key: str, question: Question) -> Kept | None:
        """The answer of that name, if this process holds it; no look-up is counted."""
        held = self._from_memory(key)
        return None if held is None else _unpacked(held.packed, question)

    def newest(
        self, key: str, question: Question, *, most_values: int | None = None, as_json: bool = False
    ) -> tuple[Kept, Freshness] | None:
        """The newest answer of that name that was kept by `put_newest`, and how fresh it was.

        Null where none is, or where more than `most_values` would have to be unpacked. With `as_json` nothing is
        unpacked where JSON is kept.
        """
        held = self._from_memory(key)
        if held is None or (newest := held.newest) is None:
            return None
        kept: Kept | None
        if as_json and newest.json is not None:
            kept = Kept([], newest.rollups, held.packed, newest.json)
        elif most_values is not None and newest.values > most_values:
            return None
        else:
            kept = _unpacked(held.packed, question)
        if kept is None:
            return None
        metrics.CACHE_LOOKUPS.labels(outcome="lagging").inc()
        return kept, newest.fresh

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept."""
        return not self._most

    def put_newest(self, key: str, answer: Kept, fresh: Freshness) -> None:
        """Keep the newest answer of that name, for those who allow a lag, unless a newer one is kept."""
        if self._has_room(answer):
            values = len(answer.rows) * len(answer.rows[0]) if answer.rows else 0
            newest = _Newest(fresh, values, answer.rollups, answer.json)
            self._into_memory(key, _Held(answer.packed, newest))

    def put(self, key: str, answer: Kept) -> None:
        """Keep an answer, unless it is too large for the memory that there is."""
        if self._has_room(answer):
            self._into_memory(key, _Held(answer.packed))
            self._into_redis(key, answer.packed)

    def _has_room(self, answer: Kept) -> bool:
        size = len(answer.packed) + (len(answer.json.text) if answer.json else 0)
        return size * _LARGEST_SHARE <= self._most

    def _from_memory(self, key: str) -> _Held | None:
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
            return held

    def _into_memory(self, key: str, held: _Held) -> None:
        with self._lock:
            known = self._held.get(key)
            if known is not None and _is_newer(known, held):
                # It took longer than one that was begun later.
                return
            self._bytes += held.bytes - (known.bytes if known else 0)
            self._held[key] = held
            self._held.move_to_end(key)
            while self._bytes > self._most:
                _, dropped = self._held.popitem(last=False)
                self._bytes -= dropped.bytes
            metrics.CACHE_BYTES.set(self._bytes)

    def _from_redis(self, key: str) -> bytes | None:
        if self._redis is None or monotonic() < self._redis_rests_until:
            return None
        try:
            found = self._redis.get(self._prefix + key)
        except (redis.RedisError, OSError) as error:
            self._let_alone(error)
            return None
        return found if isinstance(found, bytes) else None

    def _into_redis(self, key: str, packed: bytes) -> None:
        if self._redis is None or monotonic() < self._redis_rests_until:
            return
        try:
            self._redis.set(self._prefix + key, packed, ex=self._lifetime_s)
        except (redis.RedisError, OSError) as error:
            self._let_alone(error)

    def _let_alone(self, error: Exception) -> None:
        self._redis_rests_until = monotonic() + REDIS_PAUSE_S
        metrics.CACHE_ERRORS.inc()
        _log.warning("cache.redis_failed", error=str(error), rests_s=REDIS_PAUSE_S)


def _is_newer(one: _Held, other: _Held) -> bool:
    """Whether the one is of a later moment, where both tell theirs."""
    before, after = (held.newest.fresh.as_of if held.newest else None for held in (one, other))
    return before is not None and after is not None and before > after


def _packed(rows: Rows, question: Question, rollups: Sequence[str] = ()) -> bytes:
    schema = arrow_schema(question.row)
    if rollups:
        schema = schema.with_metadata({_ROLLUPS: ",".join(rollups).encode()})
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return bytes(sink.getvalue())


def _unpacked(packed: bytes, question: Question) -> Kept | None:
    """The answer; null where the bytes are not such rows, as what others wrote into Redis may be."""
    try:
        with ipc.open_stream(packed) as reader:
            table = reader.read_all()
    except (pa.ArrowInvalid, OSError):
        return None
    if table.schema != arrow_schema(question.row):
        return None
    names = (table.schema.metadata or {}).get(_ROLLUPS, b"").decode(errors="replace")
    return Kept(table.to_pylist(), tuple(names.split(",")) if names else (), packed)
