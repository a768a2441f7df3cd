"""A text as PostgreSQL takes it and people read it: no NUL bytes, no odd spaces, no runs of empty lines."""

import re
import unicodedata

#: Control characters but tab and newline, halves of surrogate pairs, and marks that take no room.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufff9-\ufffb\ud800-\udfff]")
_BLANKS = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile("\r\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_AROUND_NEWLINE = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")


def tidy(text: str) -> str:
    """The text in NFC, with plain spaces and newlines and at most one empty line in a row."""
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    text = _AROUND_NEWLINE.sub("\n", _BLANKS.sub(" ", text))
    return unicodedata.normalize("NFC", _EMPTY_LINES.sub("\n\n", text).strip())


def line(text: str | None, most_chars: int) -> str | None:
    """A title or a name on one line, not longer than `most_chars`; null where nothing is left."""
    found = " ".join(tidy(text or "").split())
    if len(found) > most_chars:
        found = found[: most_chars - 1].rstrip() + "…"
    return found or None
