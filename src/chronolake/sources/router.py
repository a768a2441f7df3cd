"""Which archive a project's captures are collected from, and why. Pure: whoever asks tells what is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Policy(StrEnum):
    """Where a project collects from."""

    WAYBACK = "wayback"  #: the Internet Archive's Wayback Machine alone
    COMMONCRAWL = "commoncrawl"  #: Common Crawl alone
    HYBRID = "hybrid"  #: the first that answers, in the order of CHRONOLAKE_ARCHIVE_ORDER


@dataclass(frozen=True)
class Choice:
    """The archive source to ask next, null where none is left, and the reason in words."""

    source: str | None
    reason: str


def choose(
    policy: Policy, order: Sequence[str], failed: Mapping[str, str], held_back_s: Mapping[str, float]
) -> Choice:
    """The source to ask next.

    `failed` are sources that were asked for this and failed, with what they said: one real failure is enough to
    go on to the next, for the request was tried several times before it counted. `held_back_s` are sources that are
    left alone, with the seconds that remain. That an archive has nothing is an answer, not a failure.
    """
    candidates = list(dict.fromkeys(order)) if policy is Policy.HYBRID else [policy.value]
    passed: list[str] = []
    for source in candidates:
        if source in failed:
            passed.append(f"{source} failed: {failed[source]}")
        elif held_back_s.get(source, 0) > 0:
            passed.append(f"{source} is left alone for {held_back_s[source]:.0f} s more")
        else:
            return Choice(source, "; ".join([*passed, _told(policy, source, first=not passed)]))
    return Choice(None, "; ".join(passed) or "no archive is named")


def _told(policy: Policy, source: str, *, first: bool) -> str:
    if policy is not Policy.HYBRID:
        return f"the project collects from {source}"
    return f"{source} comes first in the order of a hybrid project" if first else f"{source} comes next"
