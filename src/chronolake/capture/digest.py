"""Bring digests into one spelling, so that equal content compares equal whatever index named it.

SHA-1 stands in base32 upper case, as 9 of 10 indexes write it; every other algorithm in hexadecimal lower
case. The algorithm stands beside it.
"""

import base64
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

#: SHA-1 of nothing: most redirects share it, so it says nothing about duplicate content.
EMPTY_BODY_SHA1 = "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"

_SHA1_BASE32 = "^[A-Z2-7]{32}$"
_PREFIXED = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,15}):(.+)", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE32 = re.compile(r"[A-Za-z2-7]+")
#: Bytes of a digest, by which an algorithm is known when nothing names it.
_ALGORITHMS = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
_BYTES = {name: size for size, name in _ALGORITHMS.items()}
_SHA1_BASE32_CHARACTERS = 32


@dataclass(frozen=True)
class Digest:
    """A digest in the house spelling. `algorithm` is None where neither name nor length tells it."""

    value: str
    algorithm: str | None


def normalise(text: str) -> Digest | None:
    """The digest that `text` spells, None for `-` and the empty text.

    Known are `algorithm:value`, base32 with or without padding, and hexadecimal. What is neither is kept as
    it is, so that equal texts still compare equal.
    """
    text = text.strip()
    prefixed = _PREFIXED.fullmatch(text)
    named = prefixed[1].lower().replace("sha-", "sha") if prefixed else None
    value = prefixed[2].strip() if prefixed else text
    bare = value.rstrip("=")
    if not bare or bare == "-":
        return None
    content = _decode(bare, named)
    if content is None:
        return Digest(value, named)
    algorithm = named or _ALGORITHMS[len(content)]
    if algorithm == "sha1":
        return Digest(base64.b32encode(content).decode(), algorithm)
    return Digest(content.hex(), algorithm)


def _decode(text: str, named: str | None) -> bytes | None:
    """The bytes of a hexadecimal or base32 text, if they are as many as an algorithm gives."""
    sizes = {_BYTES[named]} if named in _BYTES else set(_ALGORITHMS)
    # 32 characters that are both are SHA-1 in base32 or MD5 in hexadecimal. A random SHA-1 has only
    # hexadecimal letters once in 10^14; but upper case without 0, 1, 8 and 9 is as rare for an MD5.
    base32_first = (
        named != "md5" and len(text) == _SHA1_BASE32_CHARACTERS and bool(re.match(_SHA1_BASE32, text))
    )
    for decode in (_base32, _hex) if base32_first else (_hex, _base32):
        content = decode(text)
        if content is not None and len(content) in sizes:
            return content
    return None


def _hex(text: str) -> bytes | None:
    return bytes.fromhex(text) if _HEX.fullmatch(text) and len(text) % 2 == 0 else None


def _base32(text: str) -> bytes | None:
    # Of eight characters, 2, 4, 5 or 7 may be left over; other counts name no whole byte.
    if not _BASE32.fullmatch(text) or len(text) % 8 in {1, 3, 6}:
        return None
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def normalise_all(texts: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Normalise a column: (digests, algorithms), as `normalise` does each text; null in, null out."""
    if texts.null_count == len(texts):
        return texts, texts
    bare = texts
    if pc.any(pc.starts_with(texts, "sha1:")).as_py():
        bare = pc.if_else(pc.starts_with(texts, "sha1:"), pc.utf8_slice_codeunits(texts, 5), texts)
    plain = pc.fill_null(pc.match_substring_regex(bare, _SHA1_BASE32), fill_value=False)
    algorithms = pc.if_else(plain, pa.scalar("sha1"), pa.scalar(None, pa.string()))
    odd = pc.and_(pc.invert(plain), pc.is_valid(texts))
    if not pc.any(odd).as_py():
        return pc.if_else(plain, bare, pa.scalar(None, pa.string())), algorithms
    encoded = texts.filter(odd).dictionary_encode()
    found = [normalise(text) for text in encoded.dictionary.to_pylist()]
    values = pa.array([digest and digest.value for digest in found], pa.string()).take(encoded.indices)
    names = pa.array([digest and digest.algorithm for digest in found], pa.string()).take(encoded.indices)
    return pc.replace_with_mask(bare, odd, values), pc.replace_with_mask(algorithms, odd, names)
