"""`chronolake sessions`: scrape sessions, how they stand, and pausing, resuming and cancelling them."""

from typing import Annotated, Any

import typer

from chronolake.capture.session import SessionEvent, SessionState
from chronolake.cli.output import print_json, print_rows
from chronolake.oltp.sessions import ScrapeSession
from chronolake.services import open_queue
from chronolake.settings import load

_Id = Annotated[int, typer.Argument(help="The session's number, as `chronolake sessions` lists it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

app = typer.Typer(
    invoke_without_command=True,
    help="Scrape sessions: list, pause, resume, cancel.",
    epilog="Examples:\n\n  chronolake sessions --project news\n\n  chronolake sessions --state failed --json",
)


@app.callback()
def listed(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Sessions of this project.")] = None,
    state: Annotated[SessionState | None, typer.Option(help="Sessions in this state.")] = None,
    limit: Annotated[int, typer.Option(help="Sessions at most.", min=1, max=10_000)] = 50,
    as_json: _Json = False,
) -> None:
    """List scrape sessions, newest first: what, how far, and what is in the way."""
    if context.invoked_subcommand is not None:
        return
    with open_queue(load()) as queue:
        found = queue.listed(project=project, state=state, limit=limit)
    if as_json:
        print_json({"sessions": [document(session) for session in found]})
    else:
        print_rows([_row(session) for session in found])


@app.command(epilog="Example:\n\n  chronolake sessions pause 7")
def pause(session_id: _Id, as_json: _Json = False) -> None:
    """Have a session left alone until it is resumed; a run that has it ends within about a second."""
    with open_queue(load()) as queue:
        _show(queue.ask(session_id, SessionEvent.PAUSED), as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake sessions resume 7")
def resume(session_id: _Id, as_json: _Json = False) -> None:
    """Queue a session that is paused or failed, or waits for another try; it goes on exactly where it stood."""
    with open_queue(load()) as queue:
        _show(queue.resume(session_id), as_json=as_json)


@app.command(epilog="Example:\n\n  chronolake sessions cancel 7")
def cancel(session_id: _Id, as_json: _Json = False) -> None:
    """End a session for good; what is stored stays."""
    with open_queue(load()) as queue:
        _show(queue.ask(session_id, SessionEvent.CANCELLED), as_json=as_json)


def document(session: ScrapeSession) -> dict[str, Any]:
    """A session as `--json` prints it."""
    told = vars(session).copy()
    for inner in ("archive", "query", "import_id", "ended"):
        del told[inner]
    return told | {"match": session.query["match"], "url": session.query["url"]}


def _row(session: ScrapeSession) -> dict[str, Any]:
    error = session.error or {}
    state = session.state
    if state == SessionState.RUNNING and not session.alive:
        state += " (its process is gone)"
    elif state == SessionState.RUNNING and session.wanted != "run":
        state += f" ({session.wanted} is asked for)"
    return {
        "id": session.session_id,
        "project": session.project,
        "source": session.archive_source,
        "domain": session.domain,
        "state": state,
        "pages": session.pages,
        "read": session.read,
        "stored": session.stored,
        "started": session.started_at,
        "next try": session.next_at,
        "error": error.get("message"),
        "remedy": error.get("hint") or None,
    }


def _show(session: ScrapeSession, *, as_json: bool) -> None:
    if as_json:
        print_json(document(session))
    else:
        print_rows([_row(session)])
