"""Days and months that a text names, as ISO 8601.

`3/4/2020` is a day in March to some and in April to others: what can be read in two ways is left out.
"""

import re
from collections.abc import Iterator
from datetime import date

from chronolake.capture.entity import EntityKind
from chronolake.extract.entities.mention import Mention, Setting

#: Names of the months in the forms that dates have, abbreviated ones too, several languages on one line.
_MONTHS = (
    "january jan januar januari janvier enero gennaio janeiro stycznia styczeń января январь",
    "february feb februar februari février févr febrero febbraio fevereiro lutego luty февраля февраль",
    "march mar märz maart mars marzo março marca marzec марта март",
    "april apr avril abril aprile kwietnia kwiecień апреля апрель",
    "may mai mei mayo maggio maio maja maj мая май",
    "june jun juni juin junio giugno junho czerwca czerwiec июня июнь",
    "july jul juli juillet julio luglio julho lipca lipiec июля июль",
    "august aug augustus août agosto sierpnia sierpień августа август",
    "september sep sept septembre septiembre settembre setembro września wrzesień сентября сентябрь",
    "october oct oktober oktobre octobre octubre ottobre outubro października październik октября октябрь",
    "november nov novembre noviembre novembro listopada listopad ноября ноябрь",
    "december dec dezember décembre diciembre dicembre dezembro grudnia grudzień декабря декабрь",
)
_NUMBER = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
#: Every date has a year, and years are rare: what stands around each is looked at, and the rest of the text is not.
_YEAR = re.compile(r"(?:1[0-9]|20)[0-9][0-9]")
_AROUND_CHARS = 32
_MONTH = r"(?P<month>[^\W\d_]{3,10})"
#: Before a year: `12 March`, `12. März`, `12 de marzo de`, `1er mars`, `March 12,`, `12.03.`, `25/3/`, `March`.
_BEFORE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w./-])(?P<day>[0-3]?\d)(?:\.|st|nd|rd|th|er|º)?\s(?:de\s|of\s)?{_MONTH}\.?,?\s(?:de\s)?$",
        rf"(?<![\w-]){_MONTH}\.?\s(?P<day>[0-3]?\d)(?:st|nd|rd|th)?,?\s$",
        r"(?<![\w./-])(?P<day>[0-3]?\d)\.\s?(?P<month>[01]?\d)\.\s?$",
        r"(?<![\w./-])(?P<one>[0-3]?\d)(?P<mark>[/-])(?P<two>[0-3]?\d)(?P=mark)$",
        rf"(?<![\w-]){_MONTH}\.?,?\s(?:de\s|of\s)?$",
    )
)
#: After a year: `-03-12`, `/03/12`, `年3月12日`.
_AFTER = (
    re.compile(r"(?P<mark>[-/])(?P<month>[01]\d)(?P=mark)(?P<day>[0-3]\d)(?!\d|[-/]\d)"),
    re.compile(r"\s?[年년]\s?(?P<month>[01]?\d)\s?[月월](?:\s?(?P<day>[0-3]?\d)\s?[日일])?"),
)
_MONTHS_IN_YEAR = 12


def days(text: str, setting: Setting) -> Iterator[Mention]:
    """Days, and months of a year."""
    for year in _YEAR.finditer(text):
        start, end = year.span()
        following = text[end : end + 2]
        if following[:1].isdigit():
            continue
        before = text[max(0, start - _AROUND_CHARS) : start]
        if not before[-1:].isalnum() and before[-1:] not in {"-", "/", "."}:
            for pattern in _AFTER:
                match = pattern.match(text, end)
                if match is not None:
                    yield from _mention(start, match.end(), (year[0], match["month"], match["day"]), 0.97)
        # `2020-21` and `2020/7` are no years of a date that ends there.
        if following[:1] in {"-", "/"} and following[1:].isdigit():
            continue
        for pattern in _BEFORE:
            match = pattern.search(before)
            if match is not None and (found := _told_before(match, setting)) is not None:
                # What has the form of a day and is none, as 31 February, is no month either.
                yield from _mention(start - len(before) + match.start(), end, (year[0], *found[:2]), found[2])
                break


def _told_before(match: re.Match[str], setting: Setting) -> tuple[str, str | None, float] | None:
    """Month, day and confidence by what stands before a year; null where no month is named."""
    told = match.groupdict()
    if "one" in told:
        one, two = int(told["one"]), int(told["two"])
        # Which of them is the month shows where the other cannot be one, or where both are the same.
        if one > _MONTHS_IN_YEAR or one == two:
            return told["two"], told["one"], 0.9
        # Month 0 is none: the date can be read in two ways.
        return (told["one"], told["two"], 0.9) if two > _MONTHS_IN_YEAR else ("0", None, 0.0)
    if told["month"].isdigit():
        return told["month"], told["day"], 0.97
    month = _NUMBER.get(told["month"].casefold())
    # In English, months begin with a capital: `may 2020` is a verb and a number.
    if month is None or ("day" not in told and told["month"].islower() and setting.language == "en"):
        return None
    return str(month), told.get("day"), 0.95


def _mention(start: int, end: int, told: tuple[str, str, str | None], confidence: float) -> Iterator[Mention]:
    """The mention of year, month and day, where there is such a day."""
    year, month, day = told
    try:
        found = date(int(year), int(month), int(day or 1))
    except ValueError:
        return
    yield Mention(EntityKind.DATE, start, end, found.isoformat() if day else f"{found:%Y-%m}", confidence)
