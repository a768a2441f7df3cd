"""A report of one run as a table of figures, Markdown for readers and JSON for programs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from chronolake.bench import environment


def write(stem: Path, title: str, command: str, measures: Mapping[str, object]) -> None:
    """Write `stem.md` and `stem.json`, with the machine and the commit."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    told = environment.describe()
    document = {"command": command, "environment": asdict(told), "measures": measures}
    stem.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures(measures))
    stem.with_suffix(".md").write_text(
        f"# {title}\n\n- command: `{command}`\n- commit: {told.commit}\n"
        f"- machine: {told.cpu}, {told.cores} cores, {told.memory_bytes / 1e9:.1f} GB memory; {told.system}\n\n"
        f"| measure | value |\n|---|---|\n{rows}\n",
        encoding="utf-8",
    )


def figures(measures: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    """A line for each figure; those of a part bear its name in front."""
    for name, value in measures.items():
        if isinstance(value, Mapping) and value:
            yield from figures(value, f"{within}{name}: ")
        else:
            yield f"{within}{name}", _told(value)


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ((), [], {}):
        return "none"
    if isinstance(value, list | tuple):
        return "; ".join(_told(one) for one in value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)
