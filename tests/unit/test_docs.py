"""What the documents say is what the code does."""

import re
from pathlib import Path

import pytest
import typer

from chronolake import settings as settings_module
from chronolake.api import create_app
from chronolake.capture.columns import TABLES
from chronolake.capture.record import Reason
from chronolake.cli.app import app
from chronolake.extract import FailureKind
from chronolake.ingest.filters import FilterReason
from chronolake.query import QUESTIONS, Meta
from chronolake.query.export import CapturesFilter, Format
from chronolake.query.question.page import page
from chronolake.settings import NOT_SETTINGS, Settings
from chronolake.sources.payloads import Unfetched
from chronolake.telemetry.metrics import METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_setting_stands_in_the_document_with_default_and_meaning():
    text = (DOCS / "settings.md").read_text()
    listed = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| (.*) \|$", text, re.MULTILINE))
    wanted = {}
    for section, model in settings_module._sections():
        for name, field in model.model_fields.items():
            default = field.default
            if getattr(getattr(Settings(), section), name) is None:
                default = "unset"
            elif isinstance(default, bool):
                default = str(default).lower()
            else:
                default = getattr(default, "value", default)
            wanted[field.alias] = f"`{default}` | {field.description}"
    assert {name: row for name, row in listed.items() if name not in NOT_SETTINGS} == wanted
    assert set(listed) >= NOT_SETTINGS


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_stands_in_the_document(table):
    text = (DOCS / "tables.md").read_text()
    for column in table.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        postgres = column.postgres or "(lake only)"
        null = "yes" if column.nullable else "no"
        row = f"| `{column.name}` | {postgres} | {column.lake} | {null} | {column.meaning}{unit} |"
        assert row in text
    section = text.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
    assert table.meaning in section
    assert f"Key: {table.key}. Order inside each lake file: {', '.join(table.sort)}." in section
    assert f"PostgreSQL table: `{table.postgres_table}`." in section
    assert ("No partitions." in section) == (table.bucket_by is table.time is None)
    assert f"`{table.name}`" in (DOCS / "lake.md").read_text()


def test_no_table_but_the_registrys_is_told_of_as_one_of_both_stores():
    assert re.findall(r"^## (.+)$", (DOCS / "tables.md").read_text(), re.MULTILINE) == list(TABLES)


def test_every_link_in_the_documents_leads_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_glossary_is_in_order_and_says_each_word_once():
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words), key=str.casefold)
    assert len(words) > 20


def test_nothing_committed_names_a_registry_or_a_place_of_one_machine():
    for lock in (ROOT / "lock").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def walked(command, path=("chronolake",)):
    """Every command and sub-command, by the words that call it."""
    children = getattr(command, "commands", {})
    if not children or command.invoke_without_command:
        yield " ".join(path)
    for name, child in children.items():
        yield from walked(child, (*path, name))


def test_every_command_stands_in_the_document():
    text = (DOCS / "commands.md").read_text()
    commands = list(walked(typer.main.get_command(app)))
    assert "chronolake db psql" in commands
    assert [name for name in commands if f"`{name}" not in text] == []


def test_every_page_is_reached_from_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in text] == []


def test_the_questions_document_is_the_one_that_the_catalogue_writes():
    remedy = "python -m chronolake.query.question.page > docs/questions.md"
    assert (DOCS / "questions.md").read_text() == page(), remedy


def test_every_filter_and_format_of_an_export_stands_in_its_document():
    text = (DOCS / "exports.md").read_text()
    for name, field in CapturesFilter.model_fields.items():
        assert f"| `{name}` | {field.description} |" in text
    assert [format_ for format_ in Format if f"| `{format_}` |" not in text] == []


def test_every_metric_and_reason_stands_in_its_document():
    metrics = (DOCS / "metrics.md").read_text()
    for metric in METRICS:
        row = f"| `{metric.name}` | {metric.kind} | {metric.unit} | {', '.join(metric.labels)} | {metric.meaning} |"
        assert row in metrics
    formats = (DOCS / "formats.md").read_text()
    assert [reason for reason in Reason if f"| `{reason.value}` |" not in formats] == []


def test_every_reason_why_there_is_no_page_stands_in_its_document():
    text = (DOCS / "pages.md").read_text()
    words = [*FilterReason, *Unfetched, *FailureKind]
    assert [word.value for word in words if f"| `{word.value}` |" not in text] == []


def test_every_route_and_every_word_of_the_meta_stands_in_the_document():
    text = (DOCS / "api.md").read_text()
    # A question's own path stands in the document that the catalogue writes.
    told_there = {f"/api/v1/analytics{question.path}" for question in QUESTIONS.values()}
    routes = {
        f"{method.upper()} {path}"
        for path, methods in create_app(services=None).openapi()["paths"].items()
        for method in methods
        if path not in told_there
    }
    assert "POST /api/v1/sql" in routes
    assert [route for route in (*routes, "GET /docs") if f"| `{route}` |" not in text] == []
    assert [name for name in Meta.model_fields if f"| `{name}` |" not in text] == []
