"""Chance that no secret hangs on: pauses that differ, and shares of what happens.

It has a state of its own. That of the module `random` belongs to whoever seeds it, in whatever thread.
"""

from random import Random

_OWN = Random()  # noqa: S311  # no secret hangs on it


def name() -> str:
    """32 hexadecimal digits, which nothing else is called by."""
    return f"{_OWN.getrandbits(128):032x}"


def fraction() -> float:
    """A number from 0 to 1, without 1; each is as likely as any other."""
    return _OWN.random()
