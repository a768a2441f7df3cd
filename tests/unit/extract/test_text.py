"""Media types, tidy texts, words, sketches, quality."""

import random
from pathlib import Path

import pytest

from chronolake.extract import media
from chronolake.extract.depth import nesting
from chronolake.extract.quality import measures, quality
from chronolake.extract.simhash import distance, simhash
from chronolake.extract.tidy import line, tidy
from chronolake.extract.words import words_of

LANGUAGES = Path(__file__).parents[2] / "data" / "languages"
PROSE = (LANGUAGES / "en.txt").read_text()


@pytest.mark.parametrize(
    ("body", "sent", "mime"),
    [
        (b"%PDF-1.4 ...", "text/html", "application/pdf"),
        (b"<!DOCTYPE html><html>", "text/plain", "text/html"),
        (b"\xef\xbb\xbf  <!-- a --><!-- b --><HTML>", None, "text/html"),
        (b"\xff\xfe" + "<html><body>".encode("utf-16-le"), None, "text/html"),
        (b"<?xml version='1.0'?><rss version='2.0'>", "text/html", "application/xml"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'><html xmlns='y'>", None, "text/html"),
        (b"\x89PNG\r\n\x1a\n\0\0", "text/html", "image/png"),
        (b"GIF89a\1\0", None, "image/gif"),
        (b"BMW builds cars", "text/plain", "text/plain"),
        (b"just words", None, "text/plain"),
        (b"just words", "text/html; charset=utf-8", "text/html"),
        (b'{"a": 1}', "application/json", "application/json"),
        (b"body { }", "text/css", "text/css"),
        (b"\0\1\2\3\4", "text/html", "application/octet-stream"),
    ],
)
def test_the_bytes_say_what_they_are(body, sent, mime):
    assert media.detect(body, sent) == mime


def test_a_text_is_tidied():
    assert tidy("a\0b\u00a0 c \r\n\r\n\n\n d\u200b\ue000 \udc00") == "ab c\n\nd\ue000"
    assert tidy("e\u0301") == "é"
    assert line("  A \n title ", 100) == "A title"
    assert line("word " * 100, 20) == "word word word word…"
    assert line(" \0", 10) is None


def test_words_are_counted_in_any_script():
    assert words_of("It's a well-known fact: 3.14, e.g. Étienne’s") == [
        "it's", "a", "well-known", "fact", "3.14", "e.g", "étienne’s",
    ]  # fmt: skip
    # Six signs of Han and kana are three words; Hindi keeps its marks, Korean its spaces.
    assert len(words_of("東京都の天気")) == 3
    assert words_of("हिन्दी में लिखा") == ["हिन्दी", "में", "लिखा"]
    assert words_of("한국어 문장") == ["한국어", "문장"]
    assert words_of("... — !") == []


def test_depth_is_told_without_building_anything():
    assert nesting("<div>" * 50 + "</div>" * 50, 40) == 41
    assert nesting("<p><li><td><br><a>" * 5000, 1000) <= 1000
    assert nesting(("<div>" * 10 + "</div>" * 10) * 1000, 1000) <= 1000
    assert nesting("</div>" * 5000 + "<DIV>" * 1001, 1000) == 1001


def test_near_texts_have_near_sketches_and_others_do_not():
    words = words_of(PROSE)
    base = simhash(words)
    chance = random.Random(7)
    for _ in range(20):
        near = list(words)
        for _ in range(4):
            near[chance.randrange(len(near))] = "changed"
        assert distance(base, simhash(near)) <= 10
    others = [simhash(words_of(passage)) for passage in PROSE.strip().split("\n\n")]
    apart = [distance(a, b) for n, a in enumerate(others) for b in others[:n]]
    assert min(apart) > 15
    assert 28 < sum(apart) / len(apart) < 36


def test_a_sketch_is_a_bigint_and_stays_what_it_was():
    assert simhash([]) == 0
    assert simhash(["the", "tide", "came", "in"]) == -8600661229853133567
    assert all(-(2**63) <= simhash([str(n)]) < 2**63 for n in range(100))
    assert simhash(["one", "two", "three"]) != simhash(["three", "two", "one"])


def rules(text, language="en"):
    return {reason.rule for reason in quality(text, words_of(text), language).reasons}


def test_prose_keeps_all_rules_but_those_of_our_own_short_lines():
    found = quality(PROSE, words_of(PROSE), "en")
    assert found.score == 1.0
    assert found.reasons == ()


@pytest.mark.parametrize("language", ["de", "fr", "pl", "ru", "ja"])
def test_prose_of_other_languages_is_no_worse(language):
    text = (LANGUAGES / f"{language}.txt").read_text()
    assert quality(text, words_of(text), language).score > 0.97


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Too few words.", "gopher.word_count"),
        ("a b c d e f g " * 20, "gopher.mean_word_length"),
        (PROSE + "# " * 100, "gopher.hashes"),
        (PROSE + "... " * 200, "gopher.ellipses"),
        ("\n".join(f"- point {n} is about something else." for n in range(60)), "gopher.bullet_lines"),
        ("\n".join(f"The story of day {n} goes on here..." for n in range(60)), "gopher.ellipsis_lines"),
        ("1234 5678 2020 " * 40, "gopher.words_with_letter"),
        ("Cheap watches handbags shoes jackets sale discount shop. " * 3 + "boots hats gloves " * 20, "gopher.stop_words"),
        ("Buy it now and be happy with it.\n" * 40 + PROSE, "repetition.duplicate_lines"),
        ("Buy it now and be happy with it.\n\n" * 40 + PROSE, "repetition.duplicate_paragraphs"),
        ("the same two " * 60, "repetition.top_2_words"),
        (PROSE + PROSE, "repetition.repeated_10_words"),
        ("\n".join(f"Entry number {n} of the list of things without an end" for n in range(40)), "fineweb.sentence_lines"),
        ("\n".join(f"Menu entry {n}." for n in range(60)), "fineweb.short_lines"),
        ("Buy it now and be happy with it.\n" * 5 + PROSE, "fineweb.duplicate_line_characters"),
        ("\n".join(f"Menu {n}." for n in range(60)), "fineweb.newlines"),
    ],
)  # fmt: skip
def test_each_rule_is_broken_by_what_it_is_about(text, rule):
    found = quality(text, words_of(text), "en")
    assert rule in {reason.rule for reason in found.reasons}
    assert found.score < 1
    reason = next(reason for reason in found.reasons if reason.rule == rule)
    assert reason.value != reason.bound
    assert rule not in rules(PROSE)


def test_a_language_without_a_list_is_not_judged_by_stop_words():
    words = words_of(PROSE)
    assert "gopher.stop_words" in {measure.rule for measure in measures(PROSE, words, "en")}
    assert "gopher.stop_words" not in {measure.rule for measure in measures(PROSE, words, "eu")}
    assert "gopher.stop_words" not in {measure.rule for measure in measures(PROSE, words, None)}


def test_the_score_falls_with_the_distance_from_the_bound_and_stays_in_its_range():
    texts = [" ".join(PROSE.split()[:count]) + "." for count in (45, 25, 5)]
    scores = [quality(text, words_of(text), "en").score for text in texts]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert quality("...", [], None).score == 0.5
