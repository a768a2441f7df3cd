"""Whether the parts work: each check does the least real work that the part can do, and has a deadline."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import redis

from chronolake.errors import ChronolakeError, LakeUnavailable
from chronolake.lake.engine import LAKE_EXTENSIONS, extension_path
from chronolake.loop import LoopState
from chronolake.services import Services

#: Less room than this and the next ingest or spill may fail.
LEAST_FREE_BYTES = 200_000_000
#: A part that needs longer to say that it works does not: probes commonly give up after ten seconds.
DEADLINE_S = 5.0
_REDIS_TIMEOUT_S = 2


@dataclass(frozen=True)
class Check:
    """One part: whether it works, and what was found."""

    part: str
    ok: bool
    detail: str


async def checks(services: Services, *, deadline_s: float = DEADLINE_S) -> list[Check]:
    """Every part's state now, all asked at once, none for longer than the deadline."""
    asked: dict[str, Callable[[Services], str]] = {
        "database": _database,
        "extension": _extension,
        "disk": _disk,
        "loops": _loops,
    }
    if services.settings.query.analytics_enabled:
        asked["lake"] = _lake
    if services.settings.cache.redis_url is not None:
        asked["redis"] = _redis
    return await asyncio.gather(
        *(_checked(part, check, services, deadline_s) for part, check in asked.items())
    )


async def _checked(
    part: str, check: Callable[[Services], str], services: Services, deadline_s: float
) -> Check:
    try:
        detail = await asyncio.wait_for(asyncio.to_thread(check, services), deadline_s)
    except TimeoutError:
        return Check(part, ok=False, detail=f"no answer within {deadline_s:g} s")
    except ChronolakeError as error:
        return Check(part, ok=False, detail=error.message)
    except (redis.RedisError, OSError) as error:
        return Check(part, ok=False, detail=f"{type(error).__name__}: {error}")
    return Check(part, ok=True, detail=detail)


def _database(services: Services) -> str:
    with services.database.connection() as conn:
        conn.execute("SELECT id FROM projects LIMIT 1")
    return f"PostgreSQL {services.database.server_version // 10_000}"


def _lake(services: Services) -> str:
    if services.lake is None:
        raise services.lake_error or LakeUnavailable("the lake is not open")
    return f"snapshot {services.lake.snapshot()}"


def _extension(services: Services) -> str:
    """The wheels are there for this DuckDB, and the lake's engine has them loaded."""
    names = [extension_path(name).name for name in LAKE_EXTENSIONS]
    if services.lake is not None:
        with services.lake.errors_translated(), services.lake.cursor() as cursor:
            found = cursor.execute(
                "SELECT extension_name FROM duckdb_extensions() WHERE loaded AND list_contains($names, extension_name)",
                {"names": list(LAKE_EXTENSIONS)},
            ).fetchall()
        missing = set(LAKE_EXTENSIONS) - {name for (name,) in found}
        if missing:
            raise LakeUnavailable(f"not loaded: {', '.join(sorted(missing))}")
    return f"DuckDB {duckdb.__version__}: {', '.join(names)}"


def _disk(services: Services) -> str:
    """Room where the home lies, and where the lake does if that is elsewhere on this machine."""
    folders = [services.settings.home.root]
    if services.lake is not None and "://" not in services.lake.path:
        folders.append(Path(services.lake.path))
    least = min(shutil.disk_usage(_there(folder)).free for folder in folders)
    if least < LEAST_FREE_BYTES:
        raise OSError(f"{least:,} bytes free, less than {LEAST_FREE_BYTES:,}")
    return f"{least:,} bytes free"


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: a home is made only when something is put into it."""
    return folder if folder.exists() else _there(folder.parent)


def _loops(services: Services) -> str:
    """Red where one has ended by itself. One whose newest step failed tries again: what it lacks is red above."""
    ended = [
        f"{loop.name} ended with {type(loop.error).__name__}"
        for loop in services.loops
        if loop.state is LoopState.FAILED
    ]
    if ended:
        # The class alone: what nobody foresaw may hold anything, and this is read by anybody.
        raise ChronolakeError(f"{', '.join(ended)}; the log has the trace")
    return ", ".join(f"{loop.name} {loop.state}" for loop in services.loops) or "none"


def _redis(services: Services) -> str:
    url = services.settings.cache.redis_url
    if url is None:
        return "not set"
    with redis.Redis.from_url(
        url.get_secret_value(), socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
    ) as client:
        client.ping()
    return "answers"
