"""How much memory this machine gives a process: the least of its RAM and of every control group around it."""

import os
from pathlib import Path

#: Memory limits of control groups, version 2 and version 1, as the kernel shows them inside a container.
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
#: What the engine may take of it; the rest is for Arrow batches, PostgreSQL and the page cache.
ENGINE_SHARE = 0.8


def memory_bytes(limits: tuple[Path, ...] = _CGROUP_LIMITS) -> int:
    """Bytes of memory that this process could ever use."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for path in limits if (limit := _limit(path)) is not None)])


def engine_memory_bytes(wanted: int, machine: int) -> int:
    """The engine's memory limit: what is wanted, at most 80 % of the machine's memory."""
    return min(wanted, int(machine * ENGINE_SHARE))


def _limit(path: Path) -> int | None:
    """The limit a control group file holds; None where there is no file or it says `max`."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
