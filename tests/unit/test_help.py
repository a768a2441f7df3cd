"""Every command tells what it takes, with an example."""

import pytest
import typer
from typer.testing import CliRunner

from chronolake.cli.app import app


def commands(group, words=()):
    """Every command of a group, by the words that call it."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield (*words, name)


COMMANDS = list(commands(typer.main.get_command(app)))


def test_there_are_commands():
    assert ("ingest",) in COMMANDS
    assert ("sync", "dead-letters", "retry") in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example(words):
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    assert "Example" in done.stdout
