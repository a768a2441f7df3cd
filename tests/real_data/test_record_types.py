"""Every real WARC, ARC and WACZ file: our records by type, other readers' counts, and why they differ where they do.

What others counted stands in TRUTH.json: warcio's figures, and FastWARC's. Why one of them may count differently stands
in the table of docs/formats.md, by the remark that our own reader makes at such a place. `pytest -rP` prints all.
"""

import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from chronolake.errors import FormatUnknown
from chronolake.sources.local import Remark, count_records

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason="there is no ../shared/data beside this checkout"),
    # None of them takes a tenth of a second: whatever takes twenty does not end.
    pytest.mark.timeout(20),
]
TRUTH = json.loads((DATA / "TRUTH.json").read_text())["files"] if DATA.exists() else {}
ARCHIVES = {path: truth for path, truth in TRUTH.items() if truth.get("format") in {"warc", "arc", "wacz"}}
SINGLE = [path for path, truth in ARCHIVES.items() if truth["format"] != "wacz"]
BUNDLES = [path for path, truth in ARCHIVES.items() if truth["format"] == "wacz"]
#: Files that hold no record at all, so that ours refuses them by name. The one is a byte order mark and nothing else.
EMPTY = {"example.wat"}
#: | reader | `remark` | what it does there | fewer, more, or none |
_ROW = re.compile(r"^\| (warcio|FastWARC) \| `(\w+)` \| .+ \| (fewer|more|none) \|$", re.MULTILINE)
EXPLAINED = {
    (reader, remark): counts
    for reader, remark, counts in _ROW.findall((ROOT / "docs" / "formats.md").read_text())
}
#: How others call what ARC has no word for.
_ARC_TYPES = {"filedesc": "warcinfo", "dns": "response"}


def ours(path):
    """Our records by type, in the words of the others, and what our reader remarked."""
    [(_, tally)] = count_records(str(DATA / path))
    types = Counter()
    for record_type, count in tally.types.items():
        types[_ARC_TYPES.get(record_type, record_type) if tally.arc else record_type] += count
    return types, {remark.value for remark in tally.remarks} | ({"arc"} if tally.arc else set())


def theirs(path):
    """What each reader counted; null where it stopped at once, or understood no record."""
    truth = ARCHIVES[path]
    fastwarc = truth["fastwarc_records_by_type"]
    if fastwarc == "agrees":
        fastwarc = truth["records_by_type"]
    understood = isinstance(fastwarc, dict) and set(fastwarc) != {"unknown"}
    return {
        "warcio": Counter(truth["records_by_type"]),
        "FastWARC": Counter(fastwarc) if understood else None,
    }


def fits(counted, found, kind):
    """Whether a reader counted so as an explanation says that it does."""
    if kind == "none":
        return counted is None
    if counted is None:
        return False
    less, more = (counted, found) if kind == "fewer" else (found, counted)
    return less != more and all(less[name] <= more[name] for name in less | more)


def reasons(path):
    """Why each reader counted differently: none where it did not."""
    found, remarks = ours(path)
    for reader, counted in theirs(path).items():
        if counted != found:
            why = [
                remark for remark in sorted(remarks) if fits(counted, found, EXPLAINED.get((reader, remark)))
            ]
            yield reader, counted, found, why


@pytest.mark.parametrize("path", [path for path in SINGLE if Path(path).name not in EMPTY])
def test_records_by_type_agree_or_the_difference_is_explained(path):
    found, remarks = ours(path)
    print(f"{path}: {dict(found)}, remarks: {sorted(remarks) or 'none'}")
    for reader, counted, _, why in reasons(path):
        print(f"  {reader}: {'none' if counted is None else dict(counted)}, for {why}")
        assert why, f"{reader} counted {counted}, we counted {found}, and no row of docs/formats.md says why"


def test_a_file_of_no_record_is_refused_and_others_have_none_either():
    empty = [path for path in SINGLE if Path(path).name in EMPTY]
    assert len(empty) == len(EMPTY)
    for path in empty:
        with pytest.raises(FormatUnknown, match=Path(path).name):
            list(count_records(str(DATA / path)))
        assert not ARCHIVES[path]["records_by_type"]


def test_every_explanation_is_a_remark_of_ours_and_explains_a_file():
    assert {remark for _, remark in EXPLAINED} <= {remark.value for remark in Remark} | {"arc"}
    used = {
        (reader, remark)
        for path in SINGLE
        if Path(path).name not in EMPTY
        for reader, _, _, why in reasons(path)
        for remark in why
    }
    assert used == set(EXPLAINED)


@pytest.mark.parametrize("path", BUNDLES)
def test_the_members_of_a_bundle_are_counted_as_fastwarc_counts_them(path):
    with zipfile.ZipFile(DATA / path) as bundle:
        names = [name for name in bundle.namelist() if ".warc" in name or ".arc" in name]
        if not names:
            with pytest.raises(FormatUnknown, match="without WARC files"):
                list(count_records(str(DATA / path)))
            return
        counted = {}
        for name in names:
            with bundle.open(name) as member:
                records = ArchiveIterator(member)
                counted[name] = Counter(record.headers["WARC-Type"] for record in records)
    found = {name.rpartition(":")[2]: tally.types for name, tally in count_records(str(DATA / path))}
    print(f"{path}: {found}")
    assert found == counted
