"""Rollups seen from questions: which one a question would need, and how its text reads from those that there are."""

from chronolake.query.rollup.block import Block, blocks, shaped
from chronolake.query.rollup.deriving import derived, wanted
from chronolake.query.rollup.plan import Plan, Planner, shape_of
from chronolake.query.rollup.rewriting import Rewritten, rewritten

__all__ = [
    "Block",
    "Plan",
    "Planner",
    "Rewritten",
    "blocks",
    "derived",
    "rewritten",
    "shape_of",
    "shaped",
    "wanted",
]
