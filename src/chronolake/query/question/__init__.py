"""The catalogue: every question there is, by subject."""

import difflib

from chronolake.errors import QuestionUnknown
from chronolake.query.question import content, domain, history, project, source, system
from chronolake.query.question.base import Question

#: The subjects, in the order in which the documents tell of them.
SUBJECTS = (domain, project, content, source, history, system)

#: Every question by its name.
QUESTIONS: dict[str, Question] = {
    question.name: question for subject in SUBJECTS for question in subject.QUESTIONS
}


def named(name: str) -> Question:
    """The question of that name.

    Raises:
        QuestionUnknown: there is none; the nearest is named.
    """
    found = QUESTIONS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, QUESTIONS, n=1)
        hint = f"Did you mean {near[0]}? {QuestionUnknown.hint}" if near else None
        raise QuestionUnknown(f"there is no question {name[:200]!r}", hint=hint)
    return found


__all__ = ["QUESTIONS", "SUBJECTS", "Question", "named"]
