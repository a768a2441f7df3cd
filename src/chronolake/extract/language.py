"""The language of a text, told by a model of byte sequences that ships with py3langid; null where it is not sure."""

import re
from collections import Counter
from typing import NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

#: Letters that a text must have, as 200 characters of prose do: shorter ones are guessed wrong too often, names and
#: numbers most of all.
LEAST_LETTERS = 150
#: A character of these says as much as three letters.
_DENSE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_DENSE_LETTERS = 3
_LETTER = re.compile(r"[^\W\d_]")
#: Less sure than this is not sure; of the labelled passages in the tests none is below 0.98.
_LEAST_CONFIDENCE = 0.8
#: Longer texts are judged by pieces from their beginning, middle and end, which have to agree.
_PIECE_CHARS = 700
_PIECES = 3
#: The model tells some languages apart to which ISO 639-1 gives one code.
_ISO_639_1 = {"yue": "zh", "wuu": "zh", "ary": "ar", "arz": "ar", "sdh": "ku", "uzs": "uz", "nn": "no"}


class Language(NamedTuple):
    """A language by its code of ISO 639-1, and how sure that is, 0 to 1."""

    code: str
    confidence: float


class LanguageTeller:
    """Tells languages; the model is read once, which takes about a second."""

    def __init__(self) -> None:
        self._model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def tell(self, text: str) -> Language | None:
        """The text's language; null where it has too few letters, several languages, or one that no code names."""
        pieces = _pieces(text)
        if sum(map(_letters, pieces)) < LEAST_LETTERS:
            return None
        found = [self._model.classify(piece) for piece in pieces]
        label, votes = Counter(label for label, _ in found).most_common(1)[0]
        confidence = sum(sure for told, sure in found if told == label) / votes
        code = _ISO_639_1.get(label, label)
        if 2 * votes <= len(pieces) or confidence < _LEAST_CONFIDENCE or len(code) != 2:
            return None
        return Language(code, round(float(confidence), 4))


def _pieces(text: str) -> list[str]:
    if len(text) <= _PIECES * _PIECE_CHARS:
        return [text]
    middle, end = len(text) // 2, len(text) - _PIECE_CHARS
    return [text[at : at + _PIECE_CHARS] for at in (0, middle, end)]


def _letters(text: str) -> int:
    dense = len(_DENSE.findall(text))
    return len(_LETTER.findall(text)) + (_DENSE_LETTERS - 1) * dense
