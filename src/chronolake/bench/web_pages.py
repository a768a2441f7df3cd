"""Generated web pages: articles in a frame of menu, sidebar and footer, the same for the same seed.

The text is made of sentences of three languages with names, days, sums and addresses in them, so that every step of
extraction has its work. About as long as pages are: some 600 words of article, 40 KB of HTML.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from chronolake.capture.payload import Payload

_PARAGRAPHS, _SENTENCES = 12, 6
_MENU_LINKS, _FOOTER_LINKS = 60, 40
_EARLIEST = datetime(2021, 7, 1)  # noqa: DTZ001  # timestamps of captures are UTC and bear no zone
_DAYS = 1500
_LANGUAGES = {
    "en": (
        "{name} said that the {thing} would be open again before the end of the year",
        "The council of {place} has spent {money} on the {thing} since {day}",
        "Many of those who live near the {thing} have written letters to the editor about it",
        "Whether the {thing} will be there when the ferries return is something that nobody can tell",
    ),
    "de": (
        "{name} sagte, dass der Bau von {place} bis zum Ende des Jahres fertig werden soll",
        "Die Gemeinde hat seit dem {day} mehr als {money} für die neue Brücke ausgegeben",
        "Viele Leute, die in der Nähe wohnen, haben sich mit Briefen an die Zeitung gewandt",
        "Ob das Wasser im Frühling wieder so hoch steht wie im letzten Jahr, kann niemand sagen",
    ),
    "fr": (
        "{name} a déclaré que les travaux de {place} seront terminés avant la fin de l'année",
        "La commune a dépensé plus de {money} pour le nouveau pont depuis le {day}",
        "Beaucoup de ceux qui habitent près du port ont écrit des lettres au journal",
        "Personne ne peut dire si la rivière montera au printemps comme elle l'a fait l'an dernier",
    ),
}
_THINGS = (
    "harbour",
    "library",
    "old bridge",
    "market hall",
    "railway station",
    "swimming pool",
    "town museum",
)
_NAMES = (
    "Anna Lindqvist",
    "Peter Hallam",
    "Dr. Miriam Osei",
    "Carlos Duarte",
    "Julia Brandt",
    "Thomas Keller",
)
_PLACES = ("London", "Hamburg", "Lyon", "Lisbon", "Canada", "New York", "Portland, OR")
_MONEY = ("€1,250,000", "$3.5 million", "12 000 EUR", "£400")
_DATES = ("12 March 2019", "2020-05-17", "3. Oktober 2018", "14 juillet 2016", "June 2, 2021")


def pages(count: int, seed: int = 1) -> Iterator[Payload]:
    """So many pages as payloads, languages in turn."""
    chance = random.Random(seed)  # noqa: S311  # it has to be the same each time
    codes = list(_LANGUAGES)
    for number in range(count):
        code = codes[number % len(codes)]
        yield Payload(
            capture_id=UUID(int=number),
            url=f"https://www.example.org/{code}/{number}.html",
            captured_at=_EARLIEST + timedelta(days=chance.randrange(_DAYS)),
            body=_page(code, number, chance).encode(),
            mime_sent="text/html",
            charset_sent="utf-8",
        )


def _page(code: str, number: int, chance: random.Random) -> str:
    paragraphs = "\n".join(f"<p>{_paragraph(code, chance)}</p>" for _ in range(_PARAGRAPHS))
    menu = _links("menu", _MENU_LINKS, chance)
    footer = _links("footer", _FOOTER_LINKS, chance)
    style = " ".join(f".c{n} {{ margin: {n}px; color: #{n:06x} }}" for n in range(300))
    script = "\n".join(f"window.data.push({{id: {n}, value: '{chance.random()}'}});" for n in range(300))
    return (
        f'<!DOCTYPE html><html lang="{code}"><head><meta charset="utf-8"><title>Report {number}</title>'
        f'<meta property="article:published_time" content="2019-03-{1 + number % 28:02}T08:00:00Z">'
        f'<meta name="author" content="{chance.choice(_NAMES)}"><style>{style}</style><script>{script}</script></head>'
        f'<body><nav><ul>{menu}</ul></nav><main><article class="c1"><h1>Report {number}</h1>{paragraphs}'
        f"<p>press@example.org, tel. +44 20 7946 {chance.randrange(10_000):04}, #harbour</p></article></main>"
        f'<aside class="sidebar"><ul>{menu}</ul></aside><footer>{footer}</footer></body></html>'
    )


def _paragraph(code: str, chance: random.Random) -> str:
    sentences = (chance.choice(_LANGUAGES[code]) for _ in range(_SENTENCES))
    return " ".join(
        sentence.format(
            name=chance.choice(_NAMES),
            place=chance.choice(_PLACES),
            thing=chance.choice(_THINGS),
            money=chance.choice(_MONEY),
            day=chance.choice(_DATES),
        )
        + "."
        for sentence in sentences
    )


def _links(name: str, count: int, chance: random.Random) -> str:
    return "".join(
        f'<li class="{name}"><a href="/{name}/{chance.randrange(500)}">{name} {n}</a></li>'
        for n in range(count)
    )
