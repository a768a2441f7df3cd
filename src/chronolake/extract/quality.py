"""How much a text is like prose that somebody wrote for readers: a score, and the rules that pull it down.

The rules and bounds are those of Gopher (Rae and others, 2021) and FineWeb (Penedo and others, 2024), by which text is
chosen to train language models. There each is a reason to throw a text away. Here nothing is thrown away: each rule
that a text breaks takes up to half of the score, the more, the further the text is beyond the bound.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chronolake.extract.page import QualityReason
from chronolake.extract.repetition import repetition
from chronolake.extract.stopwords import STOP_WORDS
from chronolake.extract.words import unspaced_share

#: What a rule broken beyond all measure leaves of the score.
_LEFT = 0.5
_BULLETS = ("•", "‣", "◦", "▪", "●", "-", "*", "·", "–")
_ELLIPSES = ("...", "…")
#: Signs that end a sentence, in several scripts.
_ENDS = tuple(".!?\"'”’»…:;)。！？」』）．؟۔।")
#: FineWeb's 30 characters of a short line; a Chinese or Japanese sign says as much as three letters.
_SHORT_CHARS, _SHORT_DENSE_CHARS = 30, 10
#: More of a text than this in scripts without spaces, and rules that count words as those between spaces fail.
_MOST_UNSPACED = 0.3


class Quality(NamedTuple):
    """Score from 0 to 1, and why it is not 1."""

    score: float
    reasons: tuple[QualityReason, ...]


class Measure(NamedTuple):
    """A rule's value for a text, with the bounds that it should keep to; null where there is none on that side."""

    rule: str
    value: float
    least: float | None = None
    most: float | None = None
    #: where a value beyond `most` could not be worse
    worst: float = 1.0

    def excess(self) -> float:
        """How far the value is beyond its bound: 0 is not at all, 1 as far as can be."""
        if self.least is not None and self.value < self.least:
            return (self.least - self.value) / self.least
        if self.most is not None and self.value > self.most:
            return min(1.0, (self.value - self.most) / (self.worst - self.most))
        return 0.0


def quality(text: str, words: Sequence[str], language: str | None) -> Quality:
    """The score of a text with its words, and the rules that it breaks in the order of `measures`."""
    score, reasons = 1.0, []
    for measure in measures(text, words, language):
        excess = measure.excess()
        if excess > 0:
            score *= 1 - (1 - _LEFT) * excess
            low = measure.least is not None and measure.value < measure.least
            bound = measure.least if low else measure.most
            reasons.append(QualityReason(measure.rule, round(measure.value, 4), float(bound or 0)))
    return Quality(round(score, 4), tuple(reasons))


def measures(text: str, words: Sequence[str], language: str | None) -> Iterator[Measure]:
    """The value of each rule that can be applied to the text."""
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    if not words or not lines:
        yield Measure("gopher.word_count", len(words), least=50)
        return
    dense = unspaced_share(text) > _MOST_UNSPACED
    yield from _gopher(text, words, lines, language, dense=dense)
    for rule, value, most in repetition(text, words, lines):
        yield Measure(f"repetition.{rule}", value, most=most)
    yield from _fineweb(text, words, lines, dense=dense)


def _gopher(
    text: str, words: Sequence[str], lines: Sequence[str], language: str | None, *, dense: bool
) -> Iterator[Measure]:
    count = len(words)
    yield Measure("gopher.word_count", count, least=50, most=100_000, worst=200_000)
    if not dense:
        mean = sum(map(len, words)) / count
        yield Measure("gopher.mean_word_length", mean, least=3, most=10, worst=20)
    yield Measure("gopher.hashes", text.count("#") / count, most=0.1)
    yield Measure("gopher.ellipses", sum(map(text.count, _ELLIPSES)) / count, most=0.1)
    yield Measure("gopher.bullet_lines", _share(lines, lambda line: line.startswith(_BULLETS)), most=0.9)
    yield Measure("gopher.ellipsis_lines", _share(lines, lambda line: line.endswith(_ELLIPSES)), most=0.3)
    # Words come again, so that each is looked at once.
    counted = Counter(words).items()
    with_letter = sum(n for word, n in counted if word[0].isalpha() or any(map(str.isalpha, word)))
    yield Measure("gopher.words_with_letter", with_letter / count, least=0.8)
    stop_words = STOP_WORDS.get(language or "")
    if stop_words is not None:
        found = len(stop_words.intersection(words))
        yield Measure("gopher.stop_words", found, least=2)


def _fineweb(text: str, words: Sequence[str], lines: Sequence[str], *, dense: bool) -> Iterator[Measure]:
    short = _SHORT_DENSE_CHARS if dense else _SHORT_CHARS
    yield Measure("fineweb.sentence_lines", _share(lines, lambda line: line.endswith(_ENDS)), least=0.12)
    yield Measure("fineweb.short_lines", _share(lines, lambda line: len(line) <= short), most=0.67)
    repeated = sum((count - 1) * len(line) for line, count in Counter(lines).items())
    yield Measure("fineweb.duplicate_line_characters", repeated / sum(map(len, lines)), most=0.01)
    yield Measure("fineweb.newlines", text.count("\n") / len(words), most=0.3)


def _share(lines: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, lines)) / len(lines)
