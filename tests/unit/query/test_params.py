"""Parameters: read, normalised, refused in words."""

import inspect

import pytest

from chronolake.errors import ParameterInvalid, QuestionUnknown
from chronolake.query import QUESTIONS, HybridQueryRouter, Scope
from chronolake.query.params import read
from chronolake.query.question import named


def timeline(**given):
    return read("domain_timeline", QUESTIONS["domain_timeline"].params, given)


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("Example.com", "example.com"),
        ("www.example.com", "example.com"),
        (" WWW.Example.COM. ", "example.com"),
        ("example.com:8080", "example.com"),
        ("https://user@www.example.co.uk/path?q=1", "example.co.uk"),
        ("bücher.example.de", "example.de"),
        ("www.bücher.de", "xn--bcher-kva.de"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("165.22.100.0", "165.22.100.0"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_is_what_the_column_holds(given, domain):
    assert timeline(domain=given).domain == domain
    assert timeline(domain=domain).domain == domain


@pytest.mark.parametrize(
    "given", ["", " ", "example.com/path", "a b.com", "x\x00.com", "a,b", "'; --", "http://", "\udcff.com"]
)
def test_what_is_no_domain_is_refused(given):
    with pytest.raises(ParameterInvalid) as caught:
        timeline(domain=given)
    assert caught.value.facts["parameter"] == "domain"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"domain": "x.com", "interval": "decade"}, ["interval", "'decade'", "quarter"]),
        ({"domain": "x.com", "start": "201413"}, ["start", "'201413'", "month 13"]),
        ({}, ["needs domain"]),
        ({"domain": None}, ["needs domain"]),
        ({"domain": 5}, ["domain", "'5'", "string"]),
        ({"domain": "x.com", "start": "2015", "end": "2014"}, ["start=2015", "end=2014"]),
        ({"domain": "x.com", "project": "a\x00b"}, ["project"]),
    ],
)
def test_a_refusal_names_parameter_value_and_what_is_allowed(given, told):
    with pytest.raises(ParameterInvalid) as caught:
        timeline(**given)
    for words in told:
        assert words in caught.value.message
    assert caught.value.hint


def test_each_of_two_ranges_begins_before_it_ends():
    question = QUESTIONS["compare_periods"]
    given = {"domain": "x.com", "start": "2014", "end": "2014", "other_start": "2012", "other_end": "2013"}
    assert read(question.name, question.params, given).other_end.year == 2013
    with pytest.raises(ParameterInvalid) as caught:
        read(question.name, question.params, given | {"other_end": "2011"})
    assert caught.value.message == "other_start=2012 is after other_end=2011"
    assert caught.value.hint == "Swap other_start and other_end."


def test_an_unknown_parameter_names_its_neighbour_and_the_known_ones():
    with pytest.raises(ParameterInvalid) as caught:
        timeline(domain="x.com", intervall="year")
    assert "intervall" in caught.value.message
    assert "Did you mean interval?" in caught.value.hint
    assert "project" in caught.value.hint


def test_a_long_value_is_not_repeated_whole():
    with pytest.raises(ParameterInvalid) as caught:
        timeline(domain="x.com", interval="y" * 10_000)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("given", "ok"), [("1", True), ("10000", True), ("0", False), ("10001", False), ("many", False)]
)
def test_a_limit_has_bounds(given, ok):
    params = QUESTIONS["top_domains"].params
    if ok:
        assert read("top_domains", params, {"limit": given}).limit == int(given)
    else:
        with pytest.raises(ParameterInvalid, match="limit"):
            read("top_domains", params, {"limit": given})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("news", ("news",)),
        (" news , blogs,news", ("news", "blogs")),
        (["a,b", 7, "a,b"], ("a,b", "7")),
        (",".join(["x"] * 99), ("x",)),
        ([str(number) for number in range(50)], tuple(str(number) for number in range(50))),
        ("", None),
        ("news,,blogs", None),
        ([], None),
        (7, None),
        ({"news": 1}, None),
        ([None], None),
        (["a\x00"], None),
        ([str(number) for number in range(51)], None),
    ],
)
def test_projects_are_a_text_with_commas_or_a_list(given, found):
    params = QUESTIONS["projects_comparison"].params
    if found is None:
        with pytest.raises(ParameterInvalid, match="projects"):
            read("projects_comparison", params, {"projects": given})
    else:
        assert read("projects_comparison", params, {"projects": given}).projects == found


def test_an_unknown_question_names_its_neighbour():
    with pytest.raises(QuestionUnknown) as caught:
        named("domain_timelin")
    assert "domain_timeline" in caught.value.hint


def test_no_question_can_be_asked_without_a_scope():
    for method in (HybridQueryRouter.ask, HybridQueryRouter.sql):
        scope = inspect.signature(method).parameters["scope"]
        assert scope.default is inspect.Parameter.empty
        assert scope.kind is inspect.Parameter.KEYWORD_ONLY
        assert scope.annotation is Scope
    with pytest.raises(TypeError):
        Scope()


def test_a_scope_narrows_and_never_widens():
    assert Scope.everything().narrowed([3]) == Scope(frozenset({3}))
    assert Scope(frozenset({1, 2})).narrowed([2, 3]) == Scope(frozenset({2}))
    assert Scope(frozenset()).narrowed([1]) == Scope(frozenset())


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.name)
def test_every_parameter_and_column_says_what_it_means(question):
    assert question.sentence.endswith("?")
    assert question.sql.startswith("-- ")
    for model in (question.params, question.row):
        for name, field in model.model_fields.items():
            assert field.description, f"{question.name}: {name}"
