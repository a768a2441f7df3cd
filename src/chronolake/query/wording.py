"""What was asked, in words that tell nobody's values. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from chronolake.query.question import Question

#: Characters of SQL that are told: more than people read.
SQL_LENGTH = 2000


def asked_in_words(question: Question, values: Mapping[str, Any], projects: int | None) -> str:
    """A question with its choices, about so many projects; null is all of them."""
    choices = [
        f"{name}={value.value}" for name, value in sorted(values.items()) if isinstance(value, StrEnum)
    ]
    return " ".join([question.name, *choices]) + ("" if projects is None else ", by project")


def without_values(text: str) -> str:
    """SQL with a question mark in the place of each value; `sql` where it cannot be read."""
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except (SqlglotError, RecursionError):
        return "sql"
    plain = tree.transform(lambda node: exp.Placeholder() if isinstance(node, exp.Literal) else node)
    return plain.sql(dialect="duckdb", comments=False)[:SQL_LENGTH]
