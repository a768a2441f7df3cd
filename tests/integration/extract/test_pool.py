"""The pool of worker processes: every payload gets one result, whatever one of them does to its worker."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import spacy

from chronolake.capture.payload import Payload
from chronolake.errors import WorkersBroken
from chronolake.extract.page import ExtractedPage, Failure, FailureKind
from chronolake.extract.pool import ExtractorPool
from chronolake.settings import load


def settings(**flags):
    return load({}, **flags).extract


@pytest.fixture(scope="module")
def pool():
    with ExtractorPool(settings(), workers=2) as pool:
        yield pool


def payload(body, number=None, **more):
    return Payload(
        capture_id=uuid4() if number is None else UUID(int=number),
        url="http://example.com/a/",
        captured_at=datetime(2024, 5, 6),
        body=body,
        **more,
    )


def html(text):
    return f"<html><body><h1>Harbour</h1><p>{text}</p></body></html>".encode()


#: Takes seconds to read, so that a test has time to hurt its worker.
SLOW = b"<html><body>" + b"<p>The tide <b>came <i>in <a href=x>again</a></i></b>" * 250_000


def test_every_payload_gets_one_result_of_its_own_capture(pool):
    results = list(pool.extract(payload(html(f"Boat number {n} came in."), n) for n in range(200)))
    assert Counter(r.capture_id.int for r in results) == dict.fromkeys(range(200), 1)
    assert all(f"Boat number {r.capture_id.int} came in." in r.text for r in results)


def test_a_worker_reads_with_a_model_of_spacy_within_its_limits(tmp_path):
    """All that the model needs is there before the worker gives up its rights."""
    made = spacy.blank("en")
    made.meta |= {"name": "made", "version": "1.2.3"}
    made.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])
    made.to_disk(tmp_path / "made")
    by_model = settings(
        CHRONOLAKE_EXTRACT_ENTITIES="spacy", CHRONOLAKE_EXTRACT_SPACY_MODEL=str(tmp_path / "made")
    )
    text = (
        "Ada Lovelace wrote the very first notes of this kind, and they were read by many people there. " * 5
    )
    with ExtractorPool(by_model, workers=1) as pool:
        [page] = pool.extract([payload(html(text), mime_sent="text/html")])
    assert page.language == "en"
    assert [(e.kind, e.value, e.count, e.extractor) for e in page.entities] == [
        ("person", "Ada Lovelace", 5, "spacy en_made 1.2.3")
    ]


def test_no_more_payloads_are_asked_for_than_there_are_workers(pool):
    asked = 0

    def payloads():
        nonlocal asked
        for _ in range(50):
            asked += 1
            yield payload(html("A boat."))

    given = 0
    for _ in pool.extract(payloads()):
        given += 1
        assert asked - given <= 2
    assert (asked, given) == (50, 50)


def test_a_worker_that_is_killed_costs_its_own_payload_only(pool):
    def payloads():
        yield payload(SLOW, 0)
        for n in range(1, 100):
            yield payload(html("A boat came in."), n)

    before = pool.pids
    results = []
    for result in pool.extract(payloads()):
        if not results:
            victim = next(w.pid for w in pool._workers if w.job and w.job.capture_id.int == 0)
            os.kill(victim, signal.SIGSEGV)
        results.append(result)
    after = pool.pids
    failures = [r for r in results if isinstance(r, Failure)]
    assert [(f.capture_id.int, f.kind) for f in failures] == [(0, FailureKind.CRASHED)]
    assert "SIGSEGV" in failures[0].detail
    assert sorted(r.capture_id.int for r in results) == list(range(100))
    assert set(before) - set(after) == {victim}


def test_workers_that_die_while_they_have_nothing_to_do_cost_nothing(pool):
    assert len(list(pool.extract([payload(html("A boat."))]))) == 1
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    assert [type(r) for r in pool.extract([payload(html("A boat."))])] == [ExtractedPage]


def test_what_the_source_of_payloads_raises_comes_after_the_results(pool):
    def payloads():
        yield payload(html("One boat."))
        yield payload(html("Two boats."))
        raise ConnectionError("the archive is gone")

    results = []
    with pytest.raises(ConnectionError, match="the archive is gone"):
        results.extend(pool.extract(payloads()))
    # The pool is as good as before.
    assert len(list(pool.extract([payload(html("A boat."))]))) == 1
    assert len(results) == 2


def test_who_stops_listening_leaves_a_pool_that_works(pool):
    first = next(iter(pool.extract([payload(html("One boat.")), payload(SLOW), payload(SLOW)])))
    assert isinstance(first, ExtractedPage)
    began = time.monotonic()
    assert [type(r) for r in pool.extract([payload(html("Two boats."))])] == [ExtractedPage]
    assert time.monotonic() - began < 5


def test_a_worker_that_takes_no_payload_is_given_up(monkeypatch):
    monkeypatch.setattr("chronolake.extract.process._GRACE_S", 0.2)
    with ExtractorPool(settings(CHRONOLAKE_EXTRACT_TIMEOUT_S=2), workers=1) as pool:
        list(pool.extract([payload(html("A boat."))]))
        # It takes no more than what the socket between holds, which is less than this payload.
        os.kill(pool.pids[0], signal.SIGSTOP)
        (result,) = pool.extract([payload(SLOW)])
    assert result.kind is FailureKind.TIMEOUT


def test_a_worker_that_stands_still_in_the_middle_is_given_up(monkeypatch):
    monkeypatch.setattr("chronolake.extract.process._GRACE_S", 0.2)
    with ExtractorPool(settings(CHRONOLAKE_EXTRACT_TIMEOUT_S=2), workers=1) as pool:
        list(pool.extract([payload(html("A boat."))]))
        # It has all of this payload, and says nothing.
        os.kill(pool.pids[0], signal.SIGSTOP)
        (result,) = pool.extract([payload(html("Two boats."))])
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.TIMEOUT


def test_workers_that_do_not_come_up_are_an_error_with_their_last_words(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("chronolake.extract.worker.__name__", "chronolake.extract.nothing")
    with (
        ExtractorPool(settings(), workers=1) as pool,
        pytest.raises(WorkersBroken, match="No module named") as caught,
    ):
        list(pool.extract([payload(html("A boat."))]))
    assert "CHRONOLAKE_EXTRACT_WORKERS" in caught.value.hint


def test_no_process_is_left_behind():
    with ExtractorPool(settings(), workers=1) as pool:
        list(pool.extract([payload(html("A boat."))]))
        pids = pool.pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_gets_no_secret_from_the_environment(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@db/x")
    with ExtractorPool(settings(), workers=1) as pool:
        list(pool.extract([payload(html("A boat."))]))
        assert b"secret" not in Path(f"/proc/{pool.pids[0]}/environ").read_bytes()


FORBIDDEN = """
import os, socket, subprocess, sys
from chronolake.extract.worker import _give_up_rights

_give_up_rights()
done = []
for name, act in {
    "connect": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "resolve": lambda: socket.getaddrinfo("example.com", 80),
    "run": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "write": lambda: open(sys.argv[1], "w"),
    "create": lambda: os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY),
    "remove": lambda: os.remove(__file__),
    "kill": lambda: os.kill(os.getppid(), 0),
}.items():
    try:
        act()
    except PermissionError:
        continue
    done.append(name)
open("/proc/self/status").read()
print(done)
"""


def test_a_worker_opens_no_connection_starts_no_program_and_writes_no_file(tmp_path):
    script, file = tmp_path / "script.py", tmp_path / "file"
    script.write_text(FORBIDDEN)
    told = subprocess.run([sys.executable, script, file], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    assert script.exists()
    assert not file.exists()
