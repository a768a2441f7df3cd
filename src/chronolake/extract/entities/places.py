"""Places: countries and large cities by name, and cities of the United States by their state.

Names of countries and cities come from the time zone database, which is there already. A name that is a common word or
a person's as well counts only where the text says `in` or `from` before it.
"""

import re
from collections.abc import Iterator

import pytz

from chronolake.capture.entity import EntityKind
from chronolake.extract.entities.mention import Mention

_STATES = frozenset(
    """
    AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK
    OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC
    """.split()
)
#: Other names of countries, some in their own language, with the code of ISO 3166.
_COUNTRIES = {
    "United States": "US", "United States of America": "US", "U.S.A.": "US", "United Kingdom": "GB",
    "Great Britain": "GB", "England": "GB", "Scotland": "GB", "Wales": "GB", "Russia": "RU",
    "South Korea": "KR", "North Korea": "KP",
    "Czech Republic": "CZ", "Czechia": "CZ", "Vietnam": "VN", "Iran": "IR", "Syria": "SY", "Turkey": "TR",
    "The Netherlands": "NL", "Deutschland": "DE", "Österreich": "AT", "Schweiz": "CH", "Frankreich": "FR",
    "Italien": "IT", "Spanien": "ES", "Polen": "PL", "España": "ES", "Allemagne": "DE", "Italia": "IT", "Espagne": "ES",
    "Italie": "IT", "Belgique": "BE", "Suisse": "CH", "Francia": "FR", "Alemania": "DE", "Brasil": "BR", "Polska": "PL",
    "Niemcy": "DE", "Nederland": "NL", "Duitsland": "DE", "Portugal": "PT", "México": "MX", "Magyarország": "HU",
}  # fmt: skip
#: Large cities that no time zone bears the name of.
_CITIES = """
    San Francisco|San Diego|San José|Seattle|Boston|Philadelphia|Houston|Dallas|Miami|Atlanta|Las Vegas|New Orleans|
    Washington DC|Pittsburgh|Baltimore|Minneapolis|Cleveland|St. Louis|Salt Lake City|Montreal|Ottawa|
    Quebec City|Rio de Janeiro|Barcelona|Sevilla|Valencia|Milan|Milano|Naples|Napoli|Turin|Torino|Venezia|Firenze|Roma|
    Munich|München|Hamburg|Frankfurt am Main|Köln|Cologne|Stuttgart|Düsseldorf|Leipzig|Dresden|Wien|Genf|Geneva|Genève|
    Zürich|Basel|Bern|Lyon|Marseille|Toulouse|Bordeaux|Strasbourg|Lille|Nantes|Antwerp|Antwerpen|Rotterdam|Den Haag|
    Utrecht|The Hague|Manchester|Liverpool|Birmingham|Edinburgh|Glasgow|Cardiff|Leeds|Oxford|Cambridge|St. Petersburg|
    Saint Petersburg|Kraków|Gdańsk|Wrocław|Poznań|Łódź|Warszawa|Praha|Lisboa|Porto|Bruxelles|København|Göteborg|
    Mumbai|Delhi|New Delhi|Bangalore|Chennai|Beijing|Guangzhou|Shenzhen|Osaka|Kyoto|Cape Town|Tel Aviv|Los Angeles
"""
#: Names of zones that are words, persons or no cities.
_WORDS = frozenset(
    """
    Center Troll Eastern Central Pacific Mountain Nelson Rothera Davis Casey Mawson Palmer Vostok Syowa Eucla
    Creston Winamac Knox Vincennes Marengo Regina Virgin Nome Metlakatla Juneau Yakutat Boise Adak Resolute
    Thule Currie Oral Male Dawson Colombo Chita Menominee Hebron Gaza Kerguelen Easter Wake Midway Reunion
    Christmas Cocos Norfolk
    """.split()
)
#: Countries whose names are words or given names too.
_DOUBTFUL = frozenset(
    {"Jordan", "Chad", "Georgia", "Turkey", "Guinea", "Niger", "Mali", "Cuba", "Togo", "Jersey"}
)
_LEAST_CHARS = 4
_FIRST_WORD = re.compile(r"\w+")
_CAPITAL = re.compile(r"[A-ZÀ-Þ]\w*")
_NO_START = frozenset("'’.@/-_#")
_NO_END = frozenset("@-_")


def _gazetteer() -> dict[str, str | None]:
    """Names of places with the code of ISO 3166 for countries; null for cities."""
    found: dict[str, str | None] = {}
    for zone in pytz.common_timezones:
        area, _, city = zone.partition("/")
        name = city.replace("_", " ")
        if area in {"Europe", "Asia", "Africa", "America", "Australia"} and "/" not in city:
            found[name] = None
    found |= dict.fromkeys((city.strip() for city in _CITIES.replace("\n", "").split("|")), None)
    for code, name in pytz.country_names.items():
        # Some bear an explanation: `Congo (Dem. Rep.)`, `Britain (UK)`.
        found[name.partition(" (")[0]] = code
    found |= _COUNTRIES
    return {
        name: code
        for name, code in found.items()
        if len(name) >= _LEAST_CHARS and name not in _WORDS and "&" not in name
    }


_PLACES = _gazetteer()
#: The names by their first word, longer ones first.
_BY_WORD: dict[str, list[str]] = {}
for _name in sorted(_PLACES, key=len, reverse=True):
    _BY_WORD.setdefault(_FIRST_WORD.match(_name)[0], []).append(_name)  # type: ignore[index]  # each has one
_IN = re.compile(r"\b(?:in|from|to|of|near|across|visit(?:ed|ing)?|between|and) $")
_IN_CHARS = 12
_STATE = re.compile(r", (?P<state>[A-Z]{2})(?![\w.])")
_CITY = re.compile(r"(?<![\w'’.@/#-])[A-Z][a-z]+(?: [A-Z][a-z]+){0,2}$")
_LOOK_CHARS = 48
#: A city's name before another capital is a part of some other name: `London Street`, `Dublin Core`.
_GOES_ON = re.compile(r" [A-Z][a-z]")
#: Labels and beginnings of sentences in front of a city with its state.
_NO_CITY = frozenset("Location Venue Address City Any Live Date The In At From Near And By To Re For".split())


def places(text: str) -> Iterator[Mention]:
    """Places; a country's canonical form is its code."""
    for state in _STATE.finditer(text):
        before = text[max(0, state.start() - _LOOK_CHARS) : state.start()]
        city = _CITY.search(before) if state["state"] in _STATES else None
        if city is not None:
            words = city[0].split(" ")
            # What labels the city, or begins the sentence, stands in front of it.
            while len(words) > 1 and words[0] in _NO_CITY:
                words.pop(0)
            if words[0] not in _NO_CITY:
                start = state.start() - len(" ".join(words))
                yield Mention(EntityKind.PLACE, start, state.end(), None, 0.85)
    for match in _CAPITAL.finditer(text):
        named = _BY_WORD.get(match[0])
        if named is None:
            continue
        start = match.start()
        if start and (text[start - 1].isalnum() or text[start - 1] in _NO_START):
            continue
        for name in named:
            end = start + len(name)
            if text.startswith(name, start) and not (
                text[end : end + 1].isalnum() or text[end : end + 1] in _NO_END
            ):
                if _is_place(text, start, end, name):
                    yield Mention(EntityKind.PLACE, start, end, _PLACES[name], 0.85)
                break


def _is_place(text: str, start: int, end: int, name: str) -> bool:
    if name in _DOUBTFUL and not _IN.search(text, max(0, start - _IN_CHARS), start):
        return False
    return _PLACES[name] is not None or not _GOES_ON.match(text, end)
