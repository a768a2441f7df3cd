"""Entities by a model of spaCy: a real one, which spaCy makes here of a tokenizer and a list of names."""

import sys

import pytest
import spacy

from chronolake.errors import ExtractorMissing
from chronolake.extract.entities import Setting, extractor_of
from chronolake.settings import load

EN = Setting("en", "www.example.com")
NAMES = {"PERSON": "Ada Lovelace", "PER": "Charles Babbage", "ORG": "Analytical Engines", "GPE": "Marylebone", "LOC": "Baltic",
         "FAC": "Blackfriars", "WORK_OF_ART": "Sketch"}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = spacy.blank("en")
    made.meta |= {"name": "made", "version": "1.2.3"}
    patterns = [{"label": label, "pattern": name} for label, name in NAMES.items()]
    made.add_pipe("entity_ruler").add_patterns(patterns)
    folder = tmp_path_factory.mktemp("model") / "made"
    made.to_disk(folder)
    return str(folder)


def extractor(model):
    settings = load({}, CHRONOLAKE_EXTRACT_ENTITIES="spacy", CHRONOLAKE_EXTRACT_SPACY_MODEL=model)
    return extractor_of(settings.extract)


def found(entities):
    return [(entity.kind.value, entity.value) for entity in entities]


TEXT = "Ada Lovelace met Charles Babbage of Analytical Engines in Marylebone, by the Baltic, at Blackfriars, on a Sketch."


def test_names_come_from_the_model_and_everything_else_from_the_rules(model):
    finder = extractor(model)
    entities = finder.find(
        f"{TEXT} Ada Lovelace was paid $5 on 12 March 2019: ada@example.org. Peter Miller was not.", EN
    )
    assert found(entities) == [
        ("person", "Ada Lovelace"), ("person", "Charles Babbage"), ("organisation", "Analytical Engines"),
        ("place", "Marylebone"), ("place", "Baltic"), ("place", "Blackfriars"),
        ("money", "$5"), ("date", "12 March 2019"), ("email", "ada@example.org"),
    ]  # fmt: skip
    assert (entities[0].count, entities[0].position, entities[0].confidence) == (2, 0, None)
    # Whose finding it is says the model's name and version, not where it lies.
    assert {entity.extractor for entity in entities} == {finder.name} == {"spacy en_made 1.2.3"}


@pytest.mark.parametrize("language", ["de", None])
def test_a_page_in_another_language_is_read_by_the_rules_alone(model, language):
    entities = extractor(model).find(f"{TEXT} Mr. Hallam wrote to ada@example.org.", Setting(language, None))
    assert ("person", "Hallam") in found(entities)
    assert ("place", "Marylebone") not in found(entities)
    assert {entity.extractor.partition(" ")[0] for entity in entities} == {"rules"}


def test_the_model_reads_the_beginning_of_a_long_text_and_the_rules_all_of_it(model):
    text = f"{'word ' * 20_000}. Ada Lovelace wrote to ada@example.org."
    assert found(extractor(model).find(text, EN)) == [("email", "ada@example.org")]


def test_without_spacy_or_the_model_there_is_an_error_with_its_remedy(monkeypatch):
    with pytest.raises(ExtractorMissing, match="no model xx_no_such_model") as caught:
        extractor("xx_no_such_model")
    assert "spacy download xx_no_such_model" in caught.value.hint
    # Python takes a module that is null there for one that is not installed.
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ExtractorMissing, match="spaCy is not installed") as caught:
        extractor("en_core_web_sm")
    assert "chronolake[spacy]" in caught.value.hint
