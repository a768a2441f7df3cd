"""How figures are written in a report: with their units, so that nobody has to count digits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from chronolake.bench.environment import Environment
from chronolake.bench.timing import Timing


def spread_of(timing: Timing) -> str:
    """Median, and from the fastest run to the slowest."""
    return f"{time_of(timing.median_s)} ({time_of(timing.min_s)} to {time_of(timing.max_s)})"


def about_of(
    machine: Environment, *, date: datetime, command: str, seed: int, settings: Mapping[str, object]
) -> Iterator[str]:
    """When, on what and by which command a run was made, as lines of a list."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items() if number)
    yield f"- date: {date:%Y-%m-%d %H:%M} UTC; commit: {machine.commit or 'unknown'}"
    yield f"- command: `{command}` (seed {seed})"
    yield (
        f"- machine: {machine.cpu}, {machine.cores} cores, {bytes_of(machine.memory_bytes)} memory;"
        f" {machine.system}; Python {machine.python}"
    )
    yield f"- versions: {versions}"
    yield "- settings: " + ", ".join(f"{name}={value}" for name, value in settings.items())


def table_of(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def time_of(seconds: float | None) -> str:
    """Seconds, or milliseconds below one; a dash where there is no time."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def count_of(number: int) -> str:
    """A number, its digits in groups of three."""
    return f"{number:,}".replace(",", " ")


def bytes_of(number: int) -> str:
    """Bytes as MB, or GB from ten on."""
    return (
        f"{number / 1e6:,.1f} MB".replace(",", " ") if number < 10_000_000_000 else f"{number / 1e9:.1f} GB"
    )
