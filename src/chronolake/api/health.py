"""Whether the parts work: each check does the least real work that the part can do."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import redis

from chronolake.errors import ChronolakeError, LakeUnavailable
from chronolake.lake.engine import LAKE_EXTENSIONS, extension_path
from chronolake.services import Services

#: Less room than this and the next ingest or spill may fail.
LEAST_FREE_BYTES = 200_000_000
_REDIS_TIMEOUT_S = 2


@dataclass(frozen=True)
class Check:
    """One part: whether it works, and what was found."""

    part: str
    ok: bool
    detail: str


def checks(services: Services) -> list[Check]:
    """Every part's state now. Blocks: call it in a thread."""
    asked: dict[str, Callable[[Services], str]] = {
        "database": _database,
        "extensions": _extensions,
        "disk": _disk,
    }
    if services.settings.query.analytics_enabled:
        asked["lake"] = _lake
    if services.settings.cache.redis_url is not None:
        asked["redis"] = _redis
    return [_checked(part, check, services) for part, check in asked.items()]


def _checked(part: str, check: Callable[[Services], str], services: Services) -> Check:
    try:
        return Check(part, ok=True, detail=check(services))
    except ChronolakeError as error:
        return Check(part, ok=False, detail=error.message)
    except (redis.RedisError, OSError) as error:
        return Check(part, ok=False, detail=f"{type(error).__name__}: {error}")


def _database(services: Services) -> str:
    with services.database.connection() as conn:
        conn.execute("SELECT count(*) FROM projects")
    return f"PostgreSQL {services.database.server_version // 10_000}"


def _lake(services: Services) -> str:
    if services.lake is None:
        raise services.lake_error or LakeUnavailable("the lake is not open")
    return f"snapshot {services.lake.snapshot()}"


def _extensions(_: Services) -> str:
    return ", ".join(extension_path(name).name for name in LAKE_EXTENSIONS)


def _disk(services: Services) -> str:
    free = shutil.disk_usage(services.settings.home.root).free
    if free < LEAST_FREE_BYTES:
        raise OSError(f"{free:,} bytes free in the home, less than {LEAST_FREE_BYTES:,}")
    return f"{free:,} bytes free"


def _redis(services: Services) -> str:
    url = services.settings.cache.redis_url
    if url is None:
        return "not set"
    with redis.Redis.from_url(
        url.get_secret_value(), socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
    ) as client:
        client.ping()
    return "answers"
