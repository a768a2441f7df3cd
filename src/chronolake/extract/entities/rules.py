"""Entities by rules: nothing to install, the same answer everywhere, and rather one missed than one wrong."""

from collections.abc import Iterator

from chronolake.extract.entities.contacts import emails, hashtags, phones, urls
from chronolake.extract.entities.days import days
from chronolake.extract.entities.mention import Mention, Setting, merge
from chronolake.extract.entities.money import sums
from chronolake.extract.entities.names import names
from chronolake.extract.entities.places import places
from chronolake.extract.page import FoundEntity

#: Counted up when a rule changes, so that entities of the old rules are told apart.
_VERSION = 1


class Rules:
    """Finds entities by the rules of this package."""

    name = f"rules {_VERSION}"

    def find(self, text: str, setting: Setting) -> tuple[FoundEntity, ...]:
        """The entities of the text, each once, in the order in which it names them."""
        return merge(text, self.mentions(text, setting), self.name)

    def mentions(self, text: str, setting: Setting, *, names_too: bool = True) -> Iterator[Mention]:
        """Every mention; of two that overlap the earlier rule's holds, so that the surest come first."""
        yield from urls(text)
        yield from emails(text)
        yield from days(text, setting)
        yield from sums(text, setting)
        yield from phones(text, setting)
        yield from hashtags(text)
        if names_too:
            yield from names(text)
            yield from places(text)
