"""Oracles for tests, ours and our users': what must be equal is compared by plain means."""

from chronolake.testing.equality import differences

__all__ = ["differences"]
