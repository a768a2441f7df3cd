"""The engine's memory: what is wanted, within what the machine and its container have."""

import os

import pytest

from chronolake.lake.machine import engine_memory_bytes, memory_bytes

GIB = 1024**3


@pytest.mark.parametrize(
    ("wanted", "machine", "given"),
    [(4 * GIB, 64 * GIB, 4 * GIB), (4 * GIB, 2 * GIB, int(1.6 * GIB)), (8 * GIB, 10 * GIB, 8 * GIB)],
)
def test_at_most_four_fifths_of_the_machine(wanted, machine, given):
    assert engine_memory_bytes(wanted, machine) == given


def test_the_machine_itself_is_the_bound_without_a_container(tmp_path):
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    unlimited = tmp_path / "memory.max"
    unlimited.write_text("max\n")
    assert memory_bytes((tmp_path / "missing", unlimited)) == physical


def test_a_container_with_less_memory_is_the_bound(tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("268435456\n")
    assert memory_bytes((limit,)) == 268435456
