"""One home, many processes: the server comes with the first, goes with the last, and survives a kill."""

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from chronolake.errors import DatabaseUnavailable
from chronolake.oltp import Database
from chronolake.oltp.embedded import EmbeddedServer
from chronolake.settings import load

pytestmark = pytest.mark.slow

USER = """
import sys
from chronolake.oltp import Database
from chronolake.settings import load
with Database.open(load()) as database, database.connection() as conn:
    conn.execute("SELECT 1")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def start_user(home):
    environment = {"PATH": os.environ["PATH"], "CHRONOLAKE_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-c", USER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def leave(process):
    process.communicate("\n", timeout=60)
    return process.returncode


def answers(home):
    try:
        with psycopg.connect(EmbeddedServer(home).url):
            return True
    except psycopg.OperationalError:
        return False


def test_the_last_one_stops_it(tmp_path):
    first, second = start_user(tmp_path), start_user(tmp_path)
    assert answers(tmp_path)
    assert leave(first) == 0
    assert answers(tmp_path)
    assert leave(second) == 0
    assert not answers(tmp_path)


def test_a_killed_user_takes_nobody_along_and_does_not_count(tmp_path):
    killed, other = start_user(tmp_path), start_user(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert answers(tmp_path)
    assert leave(other) == 0
    assert not answers(tmp_path)


def test_all_killed_and_the_next_joins(tmp_path):
    killed = start_user(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert answers(tmp_path)
    with Database.open(load({"CHRONOLAKE_HOME": str(tmp_path)})) as database, database.connection() as conn:
        conn.execute("INSERT INTO projects (name) VALUES ('after')")
    assert not answers(tmp_path)


def test_a_killed_server_starts_again_with_what_was_committed(tmp_path):
    settings = load({"CHRONOLAKE_HOME": str(tmp_path)})
    with Database.open(settings) as database:
        with database.connection() as conn:
            conn.execute("INSERT INTO projects (name) VALUES ('durable')")
        postmaster = int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable), database.connection() as conn:
            conn.execute("SELECT pg_sleep(60)")
    with Database.open(settings) as database, database.connection() as conn:
        assert conn.execute("SELECT name FROM projects").fetchall() == [("durable",)]


def test_a_path_too_long_for_a_socket(tmp_path):
    home = tmp_path / ("long-" * 20) / "it's"
    with Database.open(load({"CHRONOLAKE_HOME": str(home)})) as database, database.connection() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path):
    """Who may write where sockets lie must not have the server's user given a folder of their choice."""
    server = EmbeddedServer(tmp_path / ("long-" * 20))
    sockets = server._sockets()
    target = tmp_path / "target"
    target.mkdir()
    sockets.symlink_to(target)
    owner = target.stat().st_uid
    try:
        with pytest.raises(DatabaseUnavailable, match="is not ours"):
            server.start()
    finally:
        sockets.unlink()
    assert target.stat().st_uid == owner


def test_what_cannot_start_says_why_and_leaves_no_lock(tmp_path):
    server = EmbeddedServer(tmp_path)
    server.start()
    server.stop()
    (tmp_path / "postgres" / "postgresql.auto.conf").write_text("shared_buffers = 'nonsense'\n")
    with pytest.raises(DatabaseUnavailable, match="shared_buffers") as caught:
        server.start()
    assert "postgres.log" in caught.value.hint
    (tmp_path / "postgres" / "postgresql.auto.conf").write_text("")
    server.start()
    server.stop()


def test_a_home_that_is_a_file(tmp_path):
    home = tmp_path / "home"
    home.write_text("not a folder")
    with pytest.raises(DatabaseUnavailable) as caught, Database.open(load({"CHRONOLAKE_HOME": str(home)})):
        pass
    assert "CHRONOLAKE_HOME" in caught.value.hint
