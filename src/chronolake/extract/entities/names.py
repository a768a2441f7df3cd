"""Persons and organisations, by what stands around and inside a name. Latin script only.

A capital letter proves little: headings have them, and German has them everywhere. So a person needs a given name that
is known or a title before it, and an organisation a word that only organisations have in their names.
"""

import re
from collections.abc import Iterator

from chronolake.capture.entity import EntityKind
from chronolake.extract.entities.first_names import FIRST_NAMES
from chronolake.extract.entities.mention import Mention

_UPPER = "A-ZÀ-ÖØ-ÞŁŚŻŹĆŃĄĘÓČŠŽŘĎŤŇĞİŐŰ"
_LOWER = "a-zß-öø-ÿąćęłńóśźżčšžřďťňěůğışőű"
#: A capitalised word with small letters in it: `Smith`, `McKay`, `O'Brien`, `Meyer-Landrut`.
_WORD = rf"(?:[{_UPPER}]['’])?[{_UPPER}][{_LOWER}]+(?:[{_UPPER}][{_LOWER}]+)?(?:-[{_UPPER}][{_LOWER}]+)*"
_INITIAL = rf"[{_UPPER}]\."
_PARTICLE = (
    r"(?:[Vv]an der|[Vv]an den|[Vv]an de|[Vv]on der|[Dd]e la|de las|de los|[Vv]an|[Vv]on|zu|"
    r"[Dd]e|[Dd]el|[Dd]ella|[Dd]i|[Dd]a|dos|[Dd]u|[Bb]in|al|[Ee]l|[Ll]e|ter)"
)
_SURNAME = rf"(?:{_PARTICLE} )?{_WORD}"
#: After a known given name: initials, then the surname. One more capital, and it is a heading or another kind of name.
_PERSON = re.compile(
    rf"(?: {_INITIAL}){{0,2}} (?P<last>{_SURNAME})(?:,? (?:Jr|Sr)\b\.?)?(?!['’]?\w| [{_UPPER}])"
)
_SECOND = re.compile(rf"[ -](?P<name>{_WORD})")
_TITLES = frozenset(
    """
    Mr Mrs Ms Dr Prof Professor Sir Lady Lord President Senator Sen Rep Governor Gov Judge Justice Chancellor Captain
    Colonel General Rev Reverend Frau Herr Herrn Señor Señora Monsieur Madame Mme Signor Signora Kanzler Bundeskanzler
    Präsident Minister
    """.split()
)
_TITLED = re.compile(rf"\.? (?P<name>(?:(?:{_WORD}|{_INITIAL}) ){{0,2}}{_SURNAME})(?!['’]?[\w])")
#: Words that show that what looks like a surname is the second half of another kind of name.
_NO_SURNAME = frozenset(
    """
    Tree Empire Style Movie Show Street Avenue Road Lane Drive Boulevard Square Place Court Bridge Tower House
    Hall Building Center Centre Park Garden Gardens River Lake Island Islands Mountain Mount Beach Bay Valley
    Hill Hills County City Town Village University College School Institute Academy Library Museum Gallery
    Theatre Theater Hospital Clinic Church Cathedral Abbey Foundation Trust Fund Society Association Award
    Awards Prize Medal Cup Day Week Festival Airport Station Hotel Restaurant Bar Pub Press Books Records Music
    Films Pictures Studios Group Company Corporation Bank Times Post News Journal Review Magazine Project
    Archive Archives Collection Band Orchestra Quartet Trio Stadium Arena Straße Platz Allee Weg Gasse Brücke
    Schule Universität Stiftung Preis Verlag Haus Kirche Home About Contact Search Help Login Blog Read More
    Next Previous Privacy Terms Policy January February March April May June July August September October
    November December Monday Tuesday Wednesday Thursday Friday Saturday Sunday And The For With From In On At By
    To Of Is Was Has Had Will Said Says Und Der Die Das Et Les
    """.split()
)
#: `General Terms`, `President Office`: words after a title that are no names.
_NO_NAME = _NO_SURNAME | frozenset(
    """
    Terms Public License Information Assembly Manager Director Secretary Electric Motors Counsel Conditions
    Questions Election Office Council Administration Settings Purpose Discussion Rules Court Who Whose But
    Affairs Interest
    """.split()
)
_PART = rf"(?:{_WORD}|[{_UPPER}]{{2,6}}|{_INITIAL}|&|\d{{1,3}}(?= ))"
_LEGAL = frozenset(
    """
    Inc Corp Corporation Incorporated Ltd Limited LLC LLP PLC GmbH AG KG SE SA SpA BV NV AB ASA Oy Oyj Pty Co
    """.split()
)
_SUFFIX = frozenset(
    """
    University College Institute Foundation Association Society Museum Library Hospital Center Centre Agency
    Council Commission Committee Company Group Bank Airlines Airways Academy Federation Union Party Ministry
    Orchestra Archive Institution Consortium Alliance Authority Corps Laboratory Laboratories Press Institut
    Stiftung Verlag Universität Hochschule Gesellschaft Verein
    """.split()
)
#: The name in front of a legal form or of such a word, to its end.
_IN_FRONT = re.compile(rf"(?<![\w&'’.-])(?P<name>{_PART}(?: (?:of |de |for )?{_PART}){{0,5}}),? $")
_IN_FRONT_CHARS = 80
_PREFIX = frozenset(
    """
    University College Institute Ministry Department Bank Library Museum Council House Academy Society Association
    Federation Bureau Office Universität Université Universidad Università Institut Ministère Ministerio Bundesamt
    Landesamt
    """.split()
)
_OF = re.compile(
    rf" (?:of|for|de|di|du|für) (?:the )?{_WORD}(?:,? (?:of |and |& )?{_WORD}){{0,4}}(?![\w'’-])"
)
#: What begins a sentence or a heading in front of a name is not a part of it.
_NOT_FIRST = frozenset(
    """
    Contributor Publisher Producer Production Creator Author Re Is Are Browsing Browse Compare Full Using The A
    An This That These Our Your My His Her Their In On At By To From For With And Or Of As If When While After
    Before Since Until About See Visit Contact Welcome Support Join Home Der Die Das Im Am Bei Von Le La Les El
    Los Public Private Local New Every Each No Another Some Any All Other Which What Where Why How It Its
    Copyright Search More Read
    """.split()
)
#: Without a name before it, the word alone is a common one: `Public Library`, `Search Archive`.
_LEAST_WORDS = 2
_COMMON = frozenset("Digital Public Online Text Full General Local Free Virtual Internet".split())
#: A capital or a number after it: the word belongs to a longer name, or to none, as in `Calculus AB 0`.
_GOES_ON = re.compile(r"(?:\.? ?&)? [A-Z0-9][\w]")
#: Where a name can begin. One pass over the text finds them, and only these are looked at further.
_CAPITAL = re.compile(rf"[{_UPPER}][\w-]+")
_NO_START = frozenset("'’.&/@-_#")
_TELLING = _LEGAL | _SUFFIX | _PREFIX | _TITLES | FIRST_NAMES


def names(text: str) -> Iterator[Mention]:
    """Companies by their legal form, offices by what they are called, persons by title or given name."""
    people: list[Mention] = []
    for match in _CAPITAL.finditer(text):
        word = match[0]
        if word not in _TELLING:
            continue
        start, end = match.span()
        if start and (text[start - 1].isalnum() or text[start - 1] in _NO_START):
            continue
        if word in _LEGAL or word in _SUFFIX:
            yield from _in_front(text, start, end, 0.9 if word in _LEGAL else 0.75)
        if word in _PREFIX and (found := _OF.match(text, end)) is not None:
            yield Mention(EntityKind.ORGANISATION, start, found.end(), None, 0.8)
        person = _person(text, start, end, word)
        if person is not None:
            people.append(person)
    # What belongs to an organisation's name is no person, so that organisations come first.
    yield from people


def _person(text: str, start: int, end: int, word: str) -> Mention | None:
    """The person whose title or given name the word is."""
    if word in _TITLES:
        titled = _TITLED.match(text, end)
        if titled is not None and not _NO_NAME.intersection(titled["name"].split(" ")):
            return Mention(EntityKind.PERSON, titled.start("name"), titled.end("name"), None, 0.85)
    elif word in FIRST_NAMES:
        second = _SECOND.match(text, end)
        known = second is not None and second["name"] in FIRST_NAMES
        named = (_PERSON.match(text, second.end()) if known and second else None) or _PERSON.match(text, end)
        if named is not None and not _NO_SURNAME.intersection(named[0].split(" ")):
            return Mention(EntityKind.PERSON, start, named.end(), None, 0.8)
    return None


def _in_front(text: str, start: int, end: int, confidence: float) -> Iterator[Mention]:
    """The organisation whose name ends with the word from `start` to `end`."""
    before = text[max(0, start - _IN_FRONT_CHARS) : start]
    found = _IN_FRONT.search(before)
    if found is None or _GOES_ON.match(text, end):
        return
    first, words = start - len(before) + found.start(), found["name"].split(" ")
    while words and words[0] in _NOT_FIRST:
        first += len(words.pop(0)) + 1
    common = len(words) == 1 and words[0] in _COMMON and text[start:end] not in {"Archive", "Society"}
    if (
        len(words) + 1 >= _LEAST_WORDS
        and words
        and not common
        and words[0] not in {"&", "and", "of", "for", "de"}
    ):
        of = _OF.match(text, end) if text[start:end] in _PREFIX else None
        yield Mention(EntityKind.ORGANISATION, first, of.end() if of else end, None, confidence)
