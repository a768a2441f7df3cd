"""What a measurement was taken on: machine, versions, commit. No path and no host name is told."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chronolake.lake.machine import memory_bytes

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("chronolake", "duckdb", "pyarrow", "psycopg", "chdb")
_GIT_TIMEOUT_S = 10


@dataclass(frozen=True)
class Environment:
    """The machine and the software; `commit` is null outside a checkout."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    versions: dict[str, str | None]
    commit: str | None


def describe() -> Environment:
    """The environment of this process."""
    return Environment(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_bytes=memory_bytes(),
        system=_system(),
        python=platform.python_version(),
        versions={package: _version(package) for package in _PACKAGES},
        commit=_commit(),
    )


def _cpu() -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout this code runs from, with `+` where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).parent
    commit = _answer([git, "-C", str(here), "rev-parse", "--short=12", "HEAD"])
    if commit is None:
        return None
    changed = _answer([git, "-C", str(here), "status", "--porcelain", "--untracked-files=no", "--", "."])
    return commit + ("+" if changed else "")


def _answer(command: list[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            command, capture_output=True, text=True, check=False, timeout=_GIT_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
