"""Every real file beside the checkout, against the truth that plain Python computed about it."""

import json
from pathlib import Path

import pytest

from chronolake.errors import InputError
from chronolake.sources.local import read_captures
from chronolake.sources.local.normalise import Normaliser

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason="there is no ../shared/data beside this checkout"),
]
TRUTH = json.loads((DATA / "TRUTH.json").read_text())["files"] if DATA.exists() else {}
INDEXES = {path: truth for path, truth in TRUTH.items() if truth.get("data_lines") is not None}

#: Files at which the reader behind the truth stopped with an error, so that it knows no right figure. What stands
#: here is what our reader finds: it notices a change, and proves no count. (captures, rejected)
STOPPED = {
    "IAH-20080430204825-00000-blackbook-truncated.arc": (8, 0),
    "badexample.arc.gz": (3, 1),
    "hello-world2.arc": (1, 0),
    "link-extraction-test.warc": (6, 1),
    "broken.warc": (2, 0),
    "example-bad-non-chunked.warc.gz": (2, 0),
}


def read(path):
    errors = []
    raw = list(
        read_captures([str(DATA / path)], max_line_bytes=1 << 24, batch_rows=100_000, on_error=errors.append)
    )
    normaliser = Normaliser(1, None)
    batches = [normaliser.normalise(batch) for batch in raw]
    assert [batch.read for batch in batches] == [batch.read for batch in raw]
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    rejected = [rejection for batch in batches for rejection in batch.rejected]
    assert len(rows) + len(rejected) == sum(batch.read for batch in raw)
    return rows, rejected, errors, sum(batch.repaired for batch in batches)


@pytest.mark.parametrize("path", INDEXES)
def test_read_stored_and_rejected_agree_with_the_truth(path):
    truth = INDEXES[path]
    rows, rejected, errors, _ = read(path)
    stopped = STOPPED.get(Path(path).name) if truth.get("reader_error") else None
    if stopped:
        assert (len(rows), len(rejected)) == stopped
        return
    # The truth does not count the line or record that a truncated file cuts in two; we do, as rejected.
    cut = [rejection for rejection in rejected if rejection.reason == "truncated"]
    assert len(rows) + len(rejected) - len(cut) == truth["data_lines"]
    assert rejected == cut
    if truth["data_lines"]:
        assert errors == []
    types = truth.get("records_by_type")
    if types and truth["format"] == "warc":
        for kind in ("response", "revisit", "resource"):
            assert sum(row["record_type"] == kind for row in rows) == types.get(kind, 0)


@pytest.mark.parametrize("path", [path for path in INDEXES if "reader_error" not in INDEXES[path]])
def test_the_columns_of_indexes_agree_with_the_truth(path):
    truth = INDEXES[path]
    rows, _, _, repaired = read(path)
    classes = dict.fromkeys(truth["status_class"], 0)
    for row in rows:
        status = row["status_code"]
        name = "none" if status is None else f"{status // 100}xx" if 200 <= status < 600 else "other"
        classes[name] = classes.get(name, 0) + 1
    assert classes == truth["status_class"]
    assert sum(row["mime_type"] == "warc/revisit" for row in rows) == truth["revisits"]
    iso = "ISO time" in truth["format"]
    assert repaired == (0 if iso or not truth["parseable"] else truth["ts_bad"]["n"])
    if truth["parseable"] == truth["data_lines"]:
        first, last = (f(row["timestamp"] for row in rows).strftime("%Y%m%d%H%M%S") for f in (min, max))
        assert (first, last) == (truth["first_ts"], truth["last_ts"])


@pytest.mark.parametrize("path", [path for path in TRUTH if path not in INDEXES])
def test_a_file_without_captures_is_refused_by_name_or_counted(path):
    rows, rejected, errors, _ = read(path)
    if not rows and not rejected:
        assert errors
    for error in errors:
        assert isinstance(error, InputError)
        assert Path(path).name in error.message
        assert error.hint
