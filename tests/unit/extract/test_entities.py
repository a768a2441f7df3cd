"""Entities by rules: what is one is found in one form, and what only looks like one is not."""

import pytest

from chronolake.extract.entities import Setting, extractor_of
from chronolake.extract.entities.rules import Rules
from chronolake.settings import load

EN = Setting("en", "www.example.com")


def found(text, kind, setting=EN):
    return [(e.value, e.canonical) for e in Rules().find(text, setting) if e.kind == kind]


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("email", "Write to Anna.Berg+x@Mail.Example.org, or not.", [("Anna.Berg+x@Mail.Example.org", "anna.berg+x@mail.example.org")]),
        ("email", "banner@2x.png, a@b, @name, x@y..com", []),
        ("url", "See http://Example.com/a_(b)?c=1. (https://x.org/d)", [("http://Example.com/a_(b)?c=1", "http://example.com/a_(b)?c=1"), ("https://x.org/d", "https://x.org/d")]),
        ("url", "www.example.com, and not www. or http://x", [("www.example.com", "http://www.example.com")]),
        ("hashtag", "#Hafen and #hafen, but not #fff, #1, a#b or x.html#top", [("#Hafen", "#hafen")]),
        ("phone", "Call +49 30 901820 or tel. (415) 555-0132.", [("+49 30 901820", "+4930901820"), ("(415) 555-0132", "+14155550132")]),
        ("phone", "Phone: 415-561-6767; ISBN 978-3-16-148410-0; 2020-05-17; 192.168.10.20; order 415 561 6767; +1 234", [("415-561-6767", "+14155616767")]),
        ("date", "On 12 March 2019, March 13th, 2019, 2019-03-14, 15.03.2019 and 16/03/2019", [("12 March 2019", "2019-03-12"), ("March 13th, 2019", "2019-03-13"), ("2019-03-14", "2019-03-14"), ("15.03.2019", "2019-03-15"), ("16/03/2019", "2019-03-16")]),
        ("date", "In March 2019, but not 3/4/2019, 31 February 2019, you may 2019, 2019-20 or 12 2019", [("March 2019", "2019-03")]),
        ("date", "2019年3月12日 und am 3. Oktober 2018, le 1er mars 2020, 5 de mayo de 2021", [("2019年3月12日", "2019-03-12"), ("3. Oktober 2018", "2018-10-03"), ("1er mars 2020", "2020-03-01"), ("5 de mayo de 2021", "2021-05-05")]),
        ("money", "It cost $1,250.50, then €3 million, 12 000 EUR and £5bn.", [("$1,250.50", "1250.5 USD"), ("€3 million", "3000000 EUR"), ("12 000 EUR", "12000 EUR"), ("£5bn.", "5000000000 GBP")]),
        ("money", "EUROPE 2020, the $ sign, 5 TRYouts", []),
        ("person", "Mr. Hallam met Anna Maria Lindqvist and J. Smith, Vincent van Gogh and Carlos Duarte.", [("Hallam", None), ("Anna Maria Lindqvist", None), ("Vincent van Gogh", None), ("Carlos Duarte", None)]),
        ("person", "James Street, Anna Home, Peter and Paul, John Lewis Department Store", []),
        ("organisation", "He left Acme Widgets Inc. for the University of Oslo, then the Rosewood Trust Foundation.", [("Acme Widgets Inc", None), ("University of Oslo", None), ("Rosewood Trust Foundation", None)]),
        ("organisation", "The Library was closed. Public Library. Search Archive", []),
        ("place", "From Germany to Paris, by Portland, OR, but not Paris Street or Jordan.", [("Germany", "DE"), ("Paris", None), ("Portland, OR", None)]),
    ],
)  # fmt: skip
def test_it_is_found_and_what_looks_like_it_is_not(kind, text, wanted):
    assert found(text, kind) == wanted


def test_signs_and_numbers_are_read_as_the_page_means_them():
    assert found("It is $5.", "money", Setting("en", "shop.example.ca")) == [("$5", "5 CAD")]
    assert found("Es kostet 1.234,50 €.", "money", Setting("de", "example.de")) == [
        ("1.234,50 €", "1234.5 EUR")
    ]
    assert found("Es kostet 1.234 €.", "money", Setting("de", "example.de")) == [("1.234 €", "1234 EUR")]
    assert found("Tel. 030 901820", "phone", Setting("de", "www.example.de")) == [
        ("030 901820", "+4930901820")
    ]
    assert found("Tel. 030 901820", "phone", Setting("de", None)) == []


def test_the_same_thing_is_one_entity_with_its_count_and_first_place():
    text = "Mail a@b.org! Later: A@B.org, and a@b.org."
    (entity,) = Rules().find(text, EN)
    assert (entity.value, entity.count, entity.position) == ("a@b.org", 3, 5)
    assert entity.extractor.startswith("rules ")
    assert 0 < entity.confidence <= 1


def test_each_character_belongs_to_one_entity():
    entities = Rules().find("http://x.org/2019-03-12/anna@example.org#tag", EN)
    assert [entity.kind for entity in entities] == ["url"]


def test_whoever_wants_no_entities_gets_no_extractor():
    assert extractor_of(load({}, CHRONOLAKE_EXTRACT_ENTITIES="none").extract) is None
