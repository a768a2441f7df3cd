"""SimHash: 64 bits of a text, of which near texts share most.

Charikar's sketch over the text's word triples: each is hashed, each bit of the hashes votes, and the sign of each vote
is a bit of the sketch. Texts that share nearly all triples differ in few bits, others in about 32.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

#: Words that are taken together: single words make all texts of a language near.
_TOGETHER = 3


def simhash(words: Sequence[str]) -> int:
    """The sketch as a signed 64-bit number; case does not matter. A text without words has 0."""
    folded = [word.casefold() for word in words]
    count = max(1, len(folded) - _TOGETHER + 1) if folded else 0
    triples = Counter(" ".join(folded[at : at + _TOGETHER]) for at in range(count))
    if not triples:
        return 0
    hashes = b"".join(blake2b(triple.encode(), digest_size=8).digest() for triple in triples)
    bits = np.unpackbits(np.frombuffer(hashes, np.uint8).reshape(-1, 8), axis=1)
    weights = np.fromiter(triples.values(), np.float32, len(triples))
    # Each bit's votes for 1, of all votes there are.
    votes = weights @ bits.astype(np.float32)
    return int.from_bytes(np.packbits(votes * 2 > weights.sum()).tobytes(), "big", signed=True)


def distance(one: int, other: int) -> int:
    """Bits in which two sketches differ, 0 to 64."""
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
