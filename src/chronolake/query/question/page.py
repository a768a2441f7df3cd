"""`docs/questions.md`, written out of the catalogue. `python -m chronolake.query.question.page` prints it."""

import sys
from importlib.resources import files

from pydantic import BaseModel

from chronolake.query.question import SUBJECTS, Question


def page() -> str:
    """The document: what holds for all questions, then each by subject with its parameters and columns."""
    parts = [(files("chronolake.query.question") / "page.md").read_text(encoding="utf-8")]
    for subject in SUBJECTS:
        parts.append(f"## {(subject.__doc__ or '').strip().rstrip('.')}\n")
        parts += [_section(question) for question in subject.QUESTIONS]
    return "\n".join(parts)


def _section(question: Question) -> str:
    lines = [f"### {question.name}", "", question.sentence, ""]
    if question.path is not None:
        place = f"`{question.method} /api/v1/analytics{question.path}`"
        told = f"{place}, parameters in a JSON object" if question.method == "POST" else place
        lines += [told, ""]
    lines += _table("parameter", question.params)
    lines += _table("column", question.row)
    return "\n".join(lines)


def _table(what: str, model: type[BaseModel]) -> list[str]:
    rows = [f"| `{name}` | {_meaning(model, name)} |" for name in model.model_fields]
    return [f"| {what} | meaning |", "|---|---|", *rows, ""] if rows else []


def _meaning(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    told = (field.description or "").replace("|", "\\|")
    default = field.default
    # What is open by default says so itself; a default of another kind is told here.
    plain = not field.is_required() and default is not None and name not in {"start", "end"}
    return f"{told}; {getattr(default, 'value', default)} by default" if plain else told


if __name__ == "__main__":
    sys.stdout.write(page())
