"""Questions and their answers: typed, scoped, routed, explained."""

from chronolake.query.advice import Proposal
from chronolake.query.answer import Answer, Meta
from chronolake.query.json_rows import JsonRows
from chronolake.query.optimizer import QueryOptimizer, Wanted
from chronolake.query.question import QUESTIONS, Question
from chronolake.query.route import Engine, QueryType, Route
from chronolake.query.router import HybridQueryRouter
from chronolake.query.scope import Scope
from chronolake.query.tending import OptimizerTending

__all__ = [
    "QUESTIONS",
    "Answer",
    "Engine",
    "HybridQueryRouter",
    "JsonRows",
    "Meta",
    "OptimizerTending",
    "Proposal",
    "QueryOptimizer",
    "QueryType",
    "Question",
    "Route",
    "Scope",
    "Wanted",
]
