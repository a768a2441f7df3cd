"""`chronolake optimize`: what makes questions cheaper."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated

import typer

from chronolake.cli.ask import parameters
from chronolake.cli.output import print_json, print_rows, stdout
from chronolake.errors import InputError, ParameterInvalid
from chronolake.lake import Refreshed
from chronolake.oltp.query_plans import PlanTimes
from chronolake.query.advice import Proposal
from chronolake.query.explain import Step, lines
from chronolake.query.index_advice import IndexProposal, UnusedIndex
from chronolake.query.layout_advice import LayoutProposal
from chronolake.query.optimizer import DAYS, QueryOptimizer
from chronolake.services import open_services
from chronolake.settings import load

app = typer.Typer(help="Make questions cheaper.", no_args_is_help=True)

_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_DAYS = Annotated[float, typer.Option(help="Days of the search history to look at.", min=0.001, max=3660)]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples:\n\n  chronolake optimize rollup domain_timeline --interval month\n\n"
    "  chronolake optimize rollup archive_sources_comparison --by-project --dry-run",
)
def rollup(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question that is to be answered from it.")],
    *,
    by_project: Annotated[
        bool, typer.Option("--by-project", help="Serve who asks about one project, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Keep what a question counts, so that it need not be counted again; its choices follow as --name value."""
    with open_services(load()) as services:
        wanted = services.optimizer.rollups_for(question, parameters(context.args), by_project=by_project)
        if dry_run:
            shown: list[dict[str, object]] = [
                {
                    "rollup": want.rollup.name,
                    "asked": want.asked,
                    "source": want.rollup.source,
                    "dimensions": [dimension.expression for dimension in want.rollup.dimensions],
                    "measures": [measure.expression for measure in want.rollup.measures],
                }
                for want in wanted
            ]
            _show(shown, "Rollups that would be made", as_json=as_json)
            return
        made = services.optimizer.make(wanted)
    _show_refreshed(made, "Made", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize rollups --json")
def rollups(as_json: _JSON = False) -> None:
    """List the rollups: what for, how many cells, and whether they are true of the newest rows."""
    with open_services(load()) as services:
        states = [state.document() for state in services.optimizer.rollups()]
    _show(states, "Rollups", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize refresh")
def refresh(as_json: _JSON = False) -> None:
    """Compute the cells anew whose rows came or went; `serve` and `sync run` do so by themselves."""
    with open_services(load()) as services:
        done = services.optimizer.refresh()
    _show_refreshed(done, "Refreshed", as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake optimize drop rollup_0123456789ab")
def drop(
    name: Annotated[str, typer.Argument(help="As `chronolake optimize rollups` names it.")],
    as_json: _JSON = False,
) -> None:
    """Forget a rollup; answers come from the captures again."""
    with open_services(load()) as services:
        services.optimizer.drop(name)
    if as_json:
        print_json({"name": name, "dropped": True})
        return
    stdout.print(f"{name} is gone")


@app.command(
    epilog="Examples:\n\n  chronolake optimize advise\n\n  chronolake optimize advise --layout --days 1 --json"
)
def advise(
    *,
    layout: Annotated[
        bool, typer.Option("--layout", help="Measure other layouts of the lake, too: takes a minute or so.")
    ] = False,
    days: _DAYS = DAYS,
    as_json: _JSON = False,
) -> None:
    """Propose rollups and indexes for what was asked of late: why, what they would take, and what they would save."""
    with open_services(load()) as services:
        advice = services.optimizer.advice(days)
        measured = services.optimizer.layouts.advise(days) if layout else None
    proposed = [proposal.document() for proposal in advice.proposals]
    if measured is not None and measured.proposal is not None:
        proposed.append(measured.proposal.document())
    slower = [found.document() for found in advice.slower]
    budgets = [asdict(budget) for budget in advice.budgets]
    if as_json:
        told = {"proposals": proposed, "slower": slower, "budgets": budgets}
        print_json(told if measured is None else {**told, "layout": measured.document()})
        return
    if measured is not None:
        shown = measured.document()
        _show(shown["measured"], f"Layouts of {shown['table']}, over {shown['rows']} rows", as_json=False)
    for kind in ("rollup", "index", *(["layout"] if layout else [])):
        of_kind = [found for found in proposed if found["kind"] == kind and found["action"] != "drop"]
        _show(of_kind, f"Proposed: {kind}", as_json=False)
    if unused := [found for found in proposed if found["action"] == "drop"]:
        _show(unused, "Proposed to be dropped", as_json=False)
    if slower:
        _show(slower, "Answered in a new way, which is slower", as_json=False)
    _show(budgets, "Room", as_json=False)


@app.command(
    epilog="Examples:\n\n  chronolake optimize apply rollup_0123456789ab\n\n  chronolake optimize apply --all --dry-run"
)
def apply(
    names: Annotated[
        list[str] | None, typer.Argument(help="As `chronolake optimize advise` names them.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that are proposed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    days: _DAYS = DAYS,
    as_json: _JSON = False,
) -> None:
    """Do what is proposed: make rollups and indexes, drop unused indexes, lay down otherwise; `undo` takes it back."""
    if bool(names) == every:
        raise InputError("say what to do, or --all", hint="Proposed: chronolake optimize advise")
    with open_services(load()) as services:
        optimizer = services.optimizer
        proposed = {proposal.name: proposal for proposal in _proposals(optimizer, names or (), days)}
        if unknown := [name for name in names or () if name not in proposed]:
            raise ParameterInvalid(
                f"{unknown[0]} is not proposed", hint="See what is: chronolake optimize advise"
            )
        chosen = [proposed[name] for name in names] if names else list(proposed.values())
        if dry_run:
            _show([found.document() for found in chosen], "What would be done", as_json=as_json)
            return
        done: list[dict[str, object]] = []
        for found in chosen:
            done += optimizer.carry_out(found)
    _show(done, "Done", as_json=as_json)


@app.command(
    epilog="Examples:\n\n  chronolake optimize plans\n\n  chronolake optimize plans top_domains --json"
)
def plans(
    question: Annotated[str | None, typer.Argument(help="A question's name, or sql; all by default.")] = None,
    days: _DAYS = DAYS,
    as_json: _JSON = False,
) -> None:
    """List how engines answered what was looked at of late, newest first, and what has become slower by it."""
    with open_services(load()) as services:
        found = services.optimizer.plans(question, days)
        slower = [
            each.document()
            for each in services.optimizer.slower(days)
            if question in (None, each.now.planned.question)
        ]
    if as_json:
        print_json({"plans": [_told(plan, steps=True) for plan in found], "slower": slower})
        return
    _show([_told(plan, steps=False) for plan in found], "Plans", as_json=False)
    if question is not None and found:
        stdout.print(f"\nThe newest, {found[0].planned.fingerprint}:")
        for line in lines(Step.of_document(found[0].planned.steps)):
            stdout.print(line, markup=False)
    if slower:
        _show(slower, "Answered in a new way, which is slower", as_json=False)


@app.command(epilog="Example:\n\n  chronolake optimize undo 3")
def undo(
    change_id: Annotated[int, typer.Argument(help="As `chronolake optimize log` numbers it.")],
    as_json: _JSON = False,
) -> None:
    """Take a change back: drop what was made, make again what was dropped, lay down again as it was."""
    with open_services(load()) as services:
        change = services.optimizer.undo(change_id)
    if as_json:
        print_json({"id": change.id, "kind": change.kind, "action": change.action, "name": change.name})
        return
    now = {"make": "gone", "drop": "there again", "change": "as it was"}[change.action]
    stdout.print(f"{change.name} is {now}")


@app.command(epilog="Example:\n\n  chronolake optimize log --json")
def log(as_json: _JSON = False) -> None:
    """List what was changed, newest first: why, what was known before, and whether it was taken back."""
    with open_services(load()) as services:
        changes = [asdict(change) for change in services.optimizer.log()]
    for change in changes:
        del change["definition"]
    _show(changes, "Changes", as_json=as_json)


def _proposals(
    optimizer: QueryOptimizer, names: Collection[str], days: float
) -> "list[Proposal | IndexProposal | UnusedIndex | LayoutProposal]":
    """All that is proposed; layouts are measured anew only where one is named."""
    found: list[Proposal | IndexProposal | UnusedIndex | LayoutProposal] = []
    if any(name.startswith("layout_") for name in names):
        measured = optimizer.layouts.advise(days).proposal
        found += [] if measured is None else [measured]
    return found + optimizer.advice(days).proposals


def _told(plan: PlanTimes, *, steps: bool) -> dict[str, object]:
    planned = plan.planned
    told: dict[str, object] = {
        "question": planned.question,
        "asked": planned.asked,
        "engine": planned.engine,
        "fingerprint": planned.fingerprint,
        "median_ms": round(plan.median_ms, 3),
        "runs": plan.runs,
        "since": plan.first_at,
        "until": plan.last_at,
    }
    return {**told, "shape": planned.shape, "steps": planned.steps} if steps else told


def _show_refreshed(done: list[Refreshed], title: str, *, as_json: bool) -> None:
    _show([asdict(refreshed) for refreshed in done], title, as_json=as_json)


def _show(rows: list[dict[str, object]], title: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(rows, title=title)
    else:
        stdout.print(f"{title}: none")
