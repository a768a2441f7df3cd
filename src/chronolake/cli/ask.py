"""`chronolake ask` and `chronolake sql`: questions to the catalogue, and SQL over the lake's tables."""

import asyncio
from typing import Annotated, Any

import typer
from rich.markup import escape

from chronolake.cli.output import print_json, print_rows, stdout
from chronolake.errors import ParameterInvalid
from chronolake.query import QUESTIONS, Answer, Scope
from chronolake.services import open_reading
from chronolake.settings import load


def ask(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="Name of the question; --list shows them.")] = None,
    *,
    engine: Annotated[str, typer.Option(help="auto, duckdb or postgres.")] = "auto",
    as_of: Annotated[
        str | None, typer.Option(help="Answer with what the lake held then, UTC: 2026-11-01T12:00.")
    ] = None,
    min_lsn: Annotated[
        str | None, typer.Option(help="The answer holds all that was committed before this LSN: 0/1A2B3C8.")
    ] = None,
    max_lag: Annotated[
        float | None, typer.Option(help="Seconds that the answer may be behind PostgreSQL.", min=0)
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the questions and their parameters.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask a question of the catalogue; its parameters follow as --name value."""
    if listed or question is None:
        _list(as_json=as_json)
        return
    params = parameters(context.args)
    with open_reading(load()) as stores:
        asked = stores.router.ask(
            question,
            params,
            scope=Scope.everything(),
            engine=engine,
            as_of=as_of,
            min_lsn=min_lsn,
            max_lag_s=max_lag,
        )
        # Shown before the stores close, which writes down what was asked.
        show(asyncio.run(asked), question, as_json=as_json)


def sql(
    text: Annotated[str, typer.Argument(help="One SELECT over the lake's tables.")],
    limit: Annotated[int | None, typer.Option(help="Rows at most; the setting's by default.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run one read-only SELECT over the lake's tables, in a sandbox."""
    with open_reading(load()) as stores:
        answer = asyncio.run(stores.router.sql(text, scope=Scope.everything(), limit=limit))
        show(answer, "sql", as_json=as_json)


def show(answer: Answer, title: str, *, as_json: bool) -> None:
    """Print an answer: its rows, then the engine, why it was chosen, the time and how fresh the rows are."""
    if as_json:
        print_json({"rows": answer.rows, "meta": answer.meta})
        return
    print_rows(answer.rows, title=title)
    meta = answer.meta
    as_of = meta.as_of_lsn or (meta.as_of and f"{meta.as_of:%Y-%m-%dT%H:%M:%SZ}")
    told = f"{meta.engine}: {meta.reason}; {meta.elapsed_ms:.1f} ms; as of {as_of}"
    stdout.print(f"[dim]{escape(told)}[/dim]", soft_wrap=True)


def parameters(arguments: list[str]) -> dict[str, str]:
    """Read `--name value` and `--name=value` pairs; dashes in a name become underscores.

    Raises:
        ParameterInvalid: a value without a name, or a name without a value.
    """
    found: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("--"):
            raise ParameterInvalid(
                f"{argument!r} follows no parameter", hint="Write parameters as --name value."
            )
        name, equals, value = argument[2:].partition("=")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise ParameterInvalid(f"--{name} has no value", hint="Write parameters as --name value.")
            value = following
        found[name.replace("-", "_")] = value
    return found


def _list(*, as_json: bool) -> None:
    catalogue: list[dict[str, Any]] = [
        {
            "question": question.name,
            "parameters": {
                name: field.description or "" for name, field in question.params.model_fields.items()
            },
            "answers": question.sentence,
        }
        for question in QUESTIONS.values()
    ]
    if as_json:
        print_json(catalogue)
        return
    print_rows(
        [
            {**entry, "parameters": " ".join(f"--{name}" for name in entry["parameters"])}
            for entry in catalogue
        ]
    )
