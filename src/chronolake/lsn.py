"""Read and write LSNs as PostgreSQL spells them. Elsewhere an LSN is an int, so that it compares and subtracts."""

import re

from chronolake.errors import DecodeError

_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def parse_lsn(text: str) -> int:
    """Read the text of a `pg_lsn`: `parse_lsn("1/AB") == 0x1000000AB`.

    Raises:
        DecodeError: the text is no LSN.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise DecodeError(f"{text!r} is no LSN", text=text)
    return int(match[1], 16) << 32 | int(match[2], 16)


def format_lsn(lsn: int) -> str:
    """Write an LSN as PostgreSQL does: `format_lsn(0x1000000AB) == "1/AB"`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
