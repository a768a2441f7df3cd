"""What one payload says, before anything is told of the text."""

from dataclasses import dataclass
from datetime import date

#: Longer texts are data and not prose, and no part of what follows is meant for them.
MOST_TEXT_CHARS = 5_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """The text as its format gives it, what took it out, and what the format declares."""

    text: str
    method: str
    title: str | None = None
    author: str | None = None
    published: date | None = None
    links: tuple[str, ...] = ()
