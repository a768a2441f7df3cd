"""The catalogue: every question there is, by subject."""

from chronolake.query.question import content, domain, history, project, source
from chronolake.query.question.base import Question

#: The subjects, in the order in which the documents tell of them.
SUBJECTS = (domain, project, content, source, history)

#: Every question by its name.
QUESTIONS: dict[str, Question] = {
    question.name: question for subject in SUBJECTS for question in subject.QUESTIONS
}

__all__ = ["QUESTIONS", "SUBJECTS", "Question"]
