"""Every record of the real WARC and ARC files: found where its capture says, and read or refused by name."""

from pathlib import Path

import pytest

from chronolake.capture.candidate import Candidate
from chronolake.sources.local import read_captures
from chronolake.sources.local.normalise import Normaliser
from chronolake.sources.payloads import NotFetched, WarcFiles
from chronolake.sources.payloads.kept import Unfetched, fetched

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason="there is no ../shared/data beside this checkout"),
]
SUFFIXES = (".warc", ".warc.gz", ".arc", ".arc.gz", ".wacz")
FILES = (
    sorted(str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.name.endswith(SUFFIXES))
    if DATA.exists()
    else []
)
MOST = 8 << 20


def candidates(path):
    normaliser = Normaliser(1, None)
    for raw in read_captures(
        [str(path)], max_line_bytes=1 << 24, batch_rows=100_000, on_error=lambda _: None
    ):
        rows = normaliser.normalise(raw).table.to_pylist()
        for row in rows:
            known = {name: row[name] for name in Candidate.__dataclass_fields__ if name in row}
            yield Candidate(**known)


def outcomes(path):
    files = WarcFiles([str(path)], most_bytes=MOST)
    found = {}
    for candidate in candidates(path):
        if not files.knows(candidate):
            found.setdefault("no place", []).append(candidate)
            continue
        try:
            got = fetched(candidate, files.get(candidate), MOST)
        except NotFetched as error:
            found.setdefault(error.reason if error.why else "no word", []).append(candidate)
            continue
        found.setdefault("digest" if got.differs else "read", []).append(candidate)
    return found


@pytest.mark.parametrize("path", FILES)
def test_every_record_is_read_or_refused_by_name(path):
    found = outcomes(DATA / path)
    assert "no word" not in found
    # A capture's own record is never another's, save that a revisit has no payload of its own.
    assert all(one.record_type == "revisit" for one in found.get(Unfetched.OTHER_RECORD, []))
