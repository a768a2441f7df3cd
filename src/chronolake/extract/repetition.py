"""How much of a text says again what it has said: lines, paragraphs and runs of words that come back.

Runs of words are compared by numbers: each word gets one, each run a hash of its words', so that a long text costs a
few sorts and not a dictionary of millions of tuples.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Gopher's bounds: characters of the most frequent run of n words, and of all runs that come again, by n.
_TOP_RUNS = {2: 0.20, 3: 0.18, 4: 0.16}
_REPEATED_RUNS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
#: An odd number with its bits well mixed (the golden ratio's), by which a run's hash is moved for the next word.
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)

Numbers = NDArray[np.int64]


class Repetition(NamedTuple):
    """A rule, the text's share of it, and Gopher's bound."""

    rule: str
    value: float
    most: float


def repetition(text: str, words: Sequence[str], lines: Sequence[str]) -> Iterator[Repetition]:
    """The shares of the text that come again. `words` are in small letters; neither they nor `lines` are empty."""
    yield Repetition("duplicate_lines", _again(lines), 0.3)
    paragraphs = [paragraph for raw in text.split("\n\n") if (paragraph := raw.strip())]
    yield Repetition("duplicate_paragraphs", _again(paragraphs), 0.3)
    repeated = sum((count - 1) * len(line) for line, count in Counter(lines).items())
    yield Repetition("duplicate_line_characters", repeated / sum(map(len, lines)), 0.2)
    # Numbers from 1: a run's hash would not see a word whose number is 0.
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words), 1)}
    ids = np.fromiter(map(numbers.__getitem__, words), np.uint64, len(words))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    hashes, total = ids * _MIX, int(lengths.sum())
    for size in range(2, max(_REPEATED_RUNS) + 1):
        if len(words) < size:
            return
        hashes = _longer(hashes, ids, size)
        _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        if len(first) == len(hashes):
            # Where no run comes again, no longer one does.
            return
        if size in _TOP_RUNS:
            yield Repetition(f"top_{size}_words", _top(first, counts, lengths, size) / total, _TOP_RUNS[size])
        if size in _REPEATED_RUNS:
            value = _repeated(first, len(hashes), lengths, size) / total
            yield Repetition(f"repeated_{size}_words", value, _REPEATED_RUNS[size])


def _again(parts: Sequence[str]) -> float:
    """Share of the parts that stood before."""
    return 1 - len(set(parts)) / len(parts)


def _longer(hashes: NDArray[np.uint64], ids: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """Hashes of the runs of `size` words, from those of one word less; they wrap as they please."""
    shorter = hashes[: len(ids) - size + 1]
    mixed = (shorter ^ (shorter >> np.uint64(29))) * _MIX
    return mixed + ids[size - 1 :]


def _top(first: Numbers, counts: Numbers, lengths: Numbers, size: int) -> int:
    """Characters of all places of the most frequent run."""
    best = int(counts.argmax())
    return int(counts[best]) * int(lengths[first[best] : first[best] + size].sum())


def _repeated(first: Numbers, count: int, lengths: Numbers, size: int) -> int:
    """Characters of the words that stand in a run which stood before; `first` is where each run stands first."""
    again = np.ones(count, dtype=np.int64)
    again[first] = 0
    # Each run covers `size` words from where it begins.
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    starts[:count] += again
    starts[size : size + count] -= again
    return int(lengths[np.cumsum(starts[:-1]) > 0].sum())
