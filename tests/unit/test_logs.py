"""Log lines: what went wrong, and no secret of it."""

import subprocess
import sys

import pytest

FAIL = """
from chronolake.settings import load
from chronolake.telemetry import logs

def connect(address):
    raise ValueError("no such scheme")

logs.configure(load().log)
try:
    connect("redis://:" + "hunter2" + "@cache")
except ValueError:
    logs.get_logger("test").exception("it.failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables(form):
    done = subprocess.run(
        [sys.executable, "-c", FAIL],
        env={"CHRONOLAKE_LOG_FORMAT": form},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no such scheme" in done.stderr
    assert "@cache" not in done.stderr.replace('"@cache")', "")
