"""Questions read back out of the search history, as they were asked."""

from json import JSONDecodeError, loads
from typing import Any

from chronolake.errors import ParameterInvalid
from chronolake.oltp.searches import Counted
from chronolake.query.params import read
from chronolake.query.question import QUESTIONS, Question


def read_back(counted: Counted) -> tuple[Question | None, dict[str, Any]]:
    """The question and its values, its project left out; null where it is none of today's."""
    question = QUESTIONS.get(counted.question)
    if question is None:
        return None, {}
    try:
        values = read(question.name, question.params, loads(counted.query_text)).model_dump()
    except (JSONDecodeError, ParameterInvalid, AttributeError):
        # Cut, or asked of another version.
        return None, {}
    return question, {name: value for name, value in values.items() if name not in {"project", "projects"}}
