"""Sums of money: amount and currency by ISO 4217, as `1250000 EUR`."""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from chronolake.capture.entity import EntityKind
from chronolake.extract.entities.mention import Mention, Setting

_CODES = (
    "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "CNY", "INR", "RUB", "BRL", "MXN", "PLN", "CZK", "HUF",
    "SEK", "NOK", "DKK", "TRY", "ZAR", "KRW", "ILS", "HKD", "SGD", "UAH", "RON", "BGN", "THB", "IDR",
)  # fmt: skip
#: What else names a currency. A sign that several have is read by the page's domain, or left out.
_SIGNS = {
    "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD",
    "R$": "BRL", "€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₴": "UAH", "₩": "KRW", "₪": "ILS", "₺": "TRY",
    "zł": "PLN", "Kč": "CZK", "円": "JPY", "元": "CNY", "руб": "RUB", "euros": "EUR", "euro": "EUR", "dollars": "USD",
    "Euro": "EUR", "Dollar": "USD", "pounds sterling": "GBP",
}  # fmt: skip
_DOLLARS = {"ca": "CAD", "au": "AUD", "nz": "NZD", "hk": "HKD", "sg": "SGD", "mx": "MXN"}
_YEN = {"zh": "CNY"}
#: Words that multiply, with their powers of ten.
_SCALES = {
    "thousand": 3, "million": 6, "millions": 6, "billion": 9, "trillion": 12, "mio": 6, "mrd": 9, "millionen": 6,
    "milliarden": 9, "millones": 6, "milioni": 6, "miliardi": 9, "milhões": 6, "milliards": 9, "miljoen": 6,
    "miljard": 9, "milionów": 6, "mln": 6, "bn": 9, "m": 6, "k": 3, "b": 9, "tsd": 3, "млн": 6, "млрд": 9,
}  # fmt: skip
_AMOUNT = r"(?P<amount>\d{1,3}(?:[.,'\u00a0\u202f ]\d{3})+(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,3})?)(?![\d])"
_SCALE = "|".join(sorted(map(re.escape, _SCALES), key=len, reverse=True))
_SCALED = rf"(?:[\s-]?(?P<scale>{_SCALE})\b\.?)?"
#: Signs are rare: what stands before and after each is looked at, and the rest of the text is not.
_SIGN = re.compile(
    "|".join(re.escape(sign) for sign in sorted((*_SIGNS, *_CODES, "$", "¥"), key=len, reverse=True))
)
_AFTER = re.compile(rf"\s?{_AMOUNT}{_SCALED}(?:\.-|,-)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?<![\w$€£.,]){_AMOUNT}{_SCALED}\s?(?:(?:de|di|d')\s)?$", re.IGNORECASE)
_BEFORE_CHARS = 48
#: A comma in these languages is where the fraction begins.
_POINT_LANGUAGES = frozenset({"en", "ja", "zh", "ko", "th", "he", None})
_GROUP_DIGITS = 3


def sums(text: str, setting: Setting) -> Iterator[Mention]:
    """Sums of money whose currency is plain."""
    for sign in _SIGN.finditer(text):
        start, end = sign.span()
        currency = _currency(sign[0], setting)
        inside = text[start - 1 : start].isalnum() if start and sign[0][0].isalpha() else False
        found = None if inside else _AFTER.match(text, end)
        if found is not None:
            span = start, found.end()
        else:
            # A letter goes on after the sign: it is the beginning of another word.
            if sign[0][-1].isalpha() and text[end : end + 1].isalpha():
                continue
            before = text[max(0, start - _BEFORE_CHARS) : start]
            found = _BEFORE.search(before)
            if found is None:
                continue
            span = start - len(before) + found.start(), end
        amount = _amount(found["amount"], found["scale"], setting.language)
        if amount is not None:
            yield Mention(EntityKind.MONEY, *span, f"{amount:f} {currency}", 0.93)


def _currency(sign: str, setting: Setting) -> str:
    if sign == "$":
        return _DOLLARS.get((setting.host or "").rpartition(".")[2].lower(), "USD")
    if sign == "¥":
        return _YEN.get(setting.language or "", "JPY")
    return _SIGNS.get(sign, sign)


def _amount(text: str, scale: str | None, language: str | None) -> Decimal | None:
    """The number; a single point or comma before three digits is read as the language writes numbers."""
    digits = re.sub(r"['\u00a0\u202f ]", "", text)
    marks = [mark for mark in digits if mark in ".,"]
    if len(set(marks)) > 1:
        # Of two kinds of marks the last is the fraction's.
        digits = digits.replace(marks[0], "").replace(marks[-1], ".")
    elif marks:
        grouped = len(marks) > 1 or (
            len(digits.rpartition(marks[0])[2]) == _GROUP_DIGITS
            and (marks[0] == ",") == (language in _POINT_LANGUAGES)
        )
        digits = digits.replace(marks[0], "" if grouped else ".")
    try:
        amount = Decimal(digits).scaleb(_SCALES[scale.lower()] if scale else 0)
    except InvalidOperation:
        return None
    return amount.normalize() if amount else amount
