"""Languages are told right, or not at all."""

from pathlib import Path

import pytest

from chronolake.extract.language import LEAST_LETTERS, LanguageTeller

PASSAGES = {
    file.stem: file.read_text().strip().split("\n\n")
    for file in sorted((Path(__file__).parents[2] / "data" / "languages").glob("*.txt"))
}


@pytest.fixture(scope="module")
def teller():
    return LanguageTeller()


def test_97_of_100_labelled_passages_of_ten_languages_are_told_right(teller):
    assert len(PASSAGES) == 10
    assert all(len(passages) >= 12 for passages in PASSAGES.values())
    told = [
        (code, found.code if (found := teller.tell(passage)) else None)
        for code, passages in PASSAGES.items()
        for passage in passages
    ]
    right = sum(code == found for code, found in told)
    print(f"{right} of {len(told)} passages told right")
    assert right >= 0.97 * len(told), [pair for pair in told if pair[0] != pair[1]]


def test_a_text_with_few_letters_is_not_guessed(teller):
    english = PASSAGES["en"][0]
    assert teller.tell(english[: LEAST_LETTERS // 2]) is None
    assert teller.tell("2024-01-01 17:45 +49 30 901820 | 99.95 | " * 50) is None
    assert teller.tell("") is None


def test_of_chinese_and_japanese_fewer_signs_are_enough(teller):
    short = PASSAGES["ja"][0][:90]
    assert len(short) < LEAST_LETTERS
    assert teller.tell(short).code == "ja"


def test_a_long_text_in_three_languages_has_none(teller):
    parts = ["\n".join(PASSAGES[code]) for code in ("en", "ru", "ja")]
    assert teller.tell("\n".join(part[:2500] for part in parts)) is None


def test_a_foreign_quotation_does_not_change_the_language_of_a_long_text(teller):
    german = "\n".join(PASSAGES["de"])
    assert teller.tell(german + PASSAGES["en"][0] + german).code == "de"
