"""Which charset a body is in: what its first bytes, its bytes as UTF-8, the server and the page itself say.

A claim is believed in this order where the whole body can be read by it, for a claim may lie. UTF-8 needs none: it has
rules that a text in any other charset breaks at its first letter outside ASCII.
"""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from chronolake.errors import NoPage
from chronolake.extract.page import FailureKind

#: The mark of UTF-32 little endian begins as that of UTF-16 does, so that it comes before.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Names that browsers know and Python does not, and what reads more than the name says.
_PYTHON = {
    "windows-874": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "x-mac-cyrillic": "mac-cyrillic",
    "gbk": "gb18030",
}
#: Bytes in which the page's own word is looked for; browsers look in 1024, and comments can be long.
_META_BYTES = 4096
_META = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE
)
#: A body of which more than this share cannot be read is no text in that charset; a few bytes may break in any.
_MOST_UNREADABLE = 0.02
_FEW = 16


def decode(body: bytes, charset_sent: str | None) -> tuple[str, str]:
    """The body as text, and the charset that read it, by its name in Python.

    Raises:
        NoPage: no charset reads it.
    """
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return _readable(body[len(mark) :].decode(charset, "replace")), charset
    meta = _META.search(body[:_META_BYTES])
    claims = [charset_sent, meta[1].decode("ascii", "replace") if meta else None]
    names = [name for claim in claims if claim and (name := known(claim)) is not None]
    # Of the charsets of web pages this one alone hides its letters in ASCII.
    if not (body.isascii() and "iso2022_jp" in names):
        names.insert(0, "utf-8")
    for name in dict.fromkeys(names):
        # A page whose own ASCII says that it is in UTF-16 is not.
        if name.startswith("utf-16") and b"\0" not in body[:_META_BYTES]:
            continue
        try:
            return body.decode(name), name
        except UnicodeDecodeError:
            continue
    # Nothing that was claimed reads it whole: the claim is wrong, or bytes are broken, or cut off at the end.
    names.append(known(detect_encoding(body) or "") or "cp1252")
    readings = [(body.decode(name, "replace"), name) for name in dict.fromkeys(names)]
    text, name = min(readings, key=lambda reading: reading[0].count("\ufffd"))
    return _readable(text), name


def known(label: str) -> str | None:
    """Python's name of the charset that browsers read where a page says `label`; null where there is none.

    Python knows more, as `zip`, which is no charset at all: a page must not choose those.
    """
    # Browsers read more than the label says: what calls itself ISO 8859-1 is Windows-1252.
    html5 = map_encoding_to_html5(label.strip(" \t\"'").lower(), fallback_utf8=False)
    if html5 is None:
        return None
    try:
        return codecs.lookup(_PYTHON.get(html5, html5)).name
    except LookupError:
        return None


def _readable(text: str) -> str:
    if text.count("\ufffd") > max(_FEW, len(text) * _MOST_UNREADABLE):
        raise NoPage("no charset reads the content", kind=FailureKind.MALFORMED)
    return text
