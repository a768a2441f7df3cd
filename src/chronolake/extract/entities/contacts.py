"""Addresses and numbers by which somebody can be reached: mail, web, telephone; and hashtags."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import phonenumbers

from chronolake.capture.entity import EntityKind
from chronolake.extract.entities.mention import Mention, Setting

_EMAIL = re.compile(
    r"(?<![\w.+@-])[A-Za-z0-9_][\w.+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,18}"
    r"(?![\w@-])"
)
#: `banner@2x.png` is a picture, not somebody's address.
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "htm", "php", "pdf"})
_URL = re.compile(r"(?<![\w@/])(?:https?://|www\.)[^\s<>\"'`|\\^{}\[\]]{3,2000}", re.IGNORECASE)
#: Signs that end the sentence around an address, not the address.
_AFTER_URL = ".,;:!?…»”’*_"
_HASHTAG = re.compile(r"(?<![\w&/#.=])#([^\W\d_]\w{1,49})(?![\w#;-])")
_COLOUR = re.compile(r"(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
#: A word before a number that says what it is, in several languages.
_CUE = re.compile(
    r"(?:tel|phone|telephone|telefon|teléfono|téléphone|telefone|telefono|tél|call|fax|mobile?|cell|gsm|hotline|fon|"
    r"тел|телефон|whatsapp)[\w.()]{0,6}[\s:.№]{1,4}$|[☎✆📞][\s:]{0,3}$",
    re.IGNORECASE,
)
_CUE_CHARS = 24
_PHONE = re.compile(
    r"(?<![\w.,/$€£+#=-])(?:\+|00|\()?\d[\d\s().\-/\u2010\u2011\u2013]{5,22}\d(?![\w$€£%]|[.,]\d)"
)
#: `(415) 555-2671`, `415-555-2671`: written as telephone numbers are and little else is.
_SHAPE_US = re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}")
_DIGITS = re.compile(r"\d")
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
#: Country-code domains whose country has another code.
_COUNTRIES = {"uk": "GB", "eu": None, "su": "RU"}
_COUNTRY_CHARS = 2
#: Hosts under these are the United States' or anybody's; there the shape of a number has to tell.
_GENERIC = frozenset({"com", "org", "net", "edu", "gov", "mil", "us"})


def urls(text: str) -> Iterator[Mention]:
    """Web addresses; the canonical form has scheme and host in lower case."""
    for match in _URL.finditer(text):
        found = match[0].rstrip(_AFTER_URL)
        # A bracket that the address did not open closes the sentence's.
        while found.endswith(")") and found.count("(") < found.count(")"):
            found = found[:-1].rstrip(_AFTER_URL)
        try:
            parts = urlsplit(found if "://" in found else f"http://{found}")
            host = parts.hostname or ""
        except ValueError:
            continue
        if "." not in host.strip("."):
            continue
        canonical = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl()
        yield Mention(EntityKind.URL, match.start(), match.start() + len(found), canonical, 1.0)


def emails(text: str) -> Iterator[Mention]:
    """Mail addresses; the canonical form is in lower case."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        found = match[0].lower()
        if found.rpartition(".")[2] not in _FILES and ".." not in found:
            yield Mention(EntityKind.EMAIL, match.start(), match.end(), found, 0.98)


def hashtags(text: str) -> Iterator[Mention]:
    """Hashtags; the canonical form is in lower case, with its sign."""
    if "#" not in text:
        return
    for match in _HASHTAG.finditer(text):
        if not _COLOUR.fullmatch(match[1]):
            yield Mention(EntityKind.HASHTAG, match.start(), match.end(), f"#{match[1].casefold()}", 0.9)


def phones(text: str, setting: Setting) -> Iterator[Mention]:
    """Telephone numbers that exist by the numbering plans; the canonical form is E.164.

    A number without its country is read as one of the country whose domain the page is in.
    """
    top = (setting.host or "").rpartition(".")[2].lower()
    region = _COUNTRIES.get(top, top.upper() if len(top) == _COUNTRY_CHARS else None)
    if top in _GENERIC:
        region = "US"
    for match in _PHONE.finditer(text):
        given = match[0]
        if not _LEAST_DIGITS <= len(_DIGITS.findall(given)) <= _MOST_DIGITS or "\n" in given:
            continue
        cued = _CUE.search(text, max(0, match.start() - _CUE_CHARS), match.start()) is not None
        abroad = given.startswith(("+", "00"))
        if not (abroad or cued or (region == "US" and _SHAPE_US.fullmatch(given))):
            continue
        try:
            number = phonenumbers.parse("+" + given[2:] if given.startswith("00") else given, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            canonical = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            yield Mention(EntityKind.PHONE, match.start(), match.end(), canonical, 0.95 if cued else 0.85)
