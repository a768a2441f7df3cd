"""Who gives way, and who does with it."""

import os
import sys
import threading

import pytest

from chronolake import priority
from chronolake.loop import Loop, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has priorities of threads")


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def gives_way():
    priority.give_way()
    return niceness(), in_a_thread(niceness)


def test_a_thread_gives_way_with_those_that_it_starts_and_no_other():
    before = niceness()
    assert in_a_thread(gives_way) == (max(before, priority.NICENESS),) * 2
    assert niceness() == before


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_loop_gives_way_where_it_is_told_to(is_asked):
    class Telling(Loop):
        def step(self):
            found.append(niceness())
            done.set()

    found, done, before = [], threading.Event(), niceness()
    with running(Telling(interval_s=60, gives_way=is_asked)):
        assert done.wait(60)
    assert found[0] == (max(before, priority.NICENESS) if is_asked else before)
