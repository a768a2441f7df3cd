"""Questions and their answers: typed, scoped, routed, explained."""

from chronolake.query.answer import Answer, Meta
from chronolake.query.catalogue import QUESTIONS
from chronolake.query.question import Question
from chronolake.query.route import Engine, QueryType, Route
from chronolake.query.router import HybridQueryRouter
from chronolake.query.scope import Scope

__all__ = [
    "QUESTIONS",
    "Answer",
    "Engine",
    "HybridQueryRouter",
    "Meta",
    "QueryType",
    "Question",
    "Route",
    "Scope",
]
