"""The words of a text, in any script."""

import re

#: Scripts that put no space between words: a word there is about two characters long.
_UNSPACED = (
    "\u3041-\u309f\u30a0-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ebd\u0ec0-\u0ecd"  # Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17d3"  # Khmer
)
#: Marks over and under letters of Latin, Cyrillic, Hebrew, Arabic and Indic scripts; Python counts them as no letters.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff"
#: Two of the above; or a run of letters, digits and marks, with apostrophes, hyphens, points and commas inside.
_WORD = re.compile(
    rf"[{_UNSPACED}]{{1,2}}"
    rf"|[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]|[{_MARKS}]|['\u2019\-.,](?=[^\W_{_UNSPACED}]))*"
)
#: Enough to tell the script of a text.
_HEAD_CHARS = 2000
_UNSPACED_SIGN = re.compile(f"[{_UNSPACED}]")


def words_of(text: str) -> list[str]:
    """The words in their order, in small letters.

    Chinese, Japanese, Thai, Lao, Burmese and Khmer leave no space between words. Which characters make one takes a
    dictionary to say; two of them count as one word, which is near the average of all six.
    """
    return _WORD.findall(text.lower())


def unspaced_share(text: str) -> float:
    """How much of the text is in scripts without spaces, 0 to 1, by its beginning."""
    head = text[:_HEAD_CHARS]
    return len(_UNSPACED_SIGN.findall(head)) / len(head) if head else 0.0
