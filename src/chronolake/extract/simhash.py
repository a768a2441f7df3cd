"""SimHash: 64 bits of a text, of which near texts share most.

Charikar's sketch over the text's word triples: each is hashed, each bit of the hashes votes, and the outcome of each
vote is a bit of the sketch. Texts that share nearly all triples differ in few bits, others in about 32.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

#: Odd numbers with well mixed bits, one for each word of a triple: the same words in another order are another triple.
#: Single words would make all texts of a language near.
_PLACES = np.array([0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9], dtype=np.uint64)
_SHIFT = np.uint64(32)
_BITS = 64


def simhash(words: Sequence[str]) -> int:
    """The sketch of words in small letters, as a signed 64-bit number; 0 where there are none.

    It is the same for the same words on every machine and with every version of Python.
    """
    if not words:
        return 0
    hashed = {word: blake2b(word.encode(), digest_size=8).digest() for word in dict.fromkeys(words)}
    hashes = np.frombuffer(b"".join(map(hashed.__getitem__, words)), dtype="<u8")
    count = max(1, len(words) - len(_PLACES) + 1)
    triples = np.zeros(count, dtype=np.uint64)
    for place, factor in enumerate(_PLACES[: len(words)]):
        triples = (triples ^ (triples >> _SHIFT)) + hashes[place : place + count] * factor
    triples = (triples ^ (triples >> _SHIFT)) * _PLACES[0]
    sketch = 0
    for bit in range(_BITS):
        votes = int(np.count_nonzero(triples & np.uint64(1 << bit)))
        sketch |= int(2 * votes > count) << bit
    return sketch - (1 << _BITS) if sketch >> (_BITS - 1) else sketch


def distance(one: int, other: int) -> int:
    """Bits in which two sketches differ, 0 to 64."""
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
