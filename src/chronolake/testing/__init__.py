"""Oracles for tests, ours and our users': what must be equal is compared by plain means."""

from chronolake.testing.equality import INGESTED, differences

__all__ = ["INGESTED", "differences"]
