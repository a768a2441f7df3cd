"""Which files a crawl's columnar index has: the list that Common Crawl publishes beside each crawl, compressed."""

import re
import zlib
from collections.abc import Collection

from chronolake.capture.attempt import Outcome
from chronolake.sources.answer import Answer, Contents, Unusable
from chronolake.sources.asking import Asker
from chronolake.sources.ranged import look_for_pause
from chronolake.sources.spool import AsSent

#: A list has some 900 lines, and 10 KB; one a thousand times as long is none.
_MOST_BYTES, _MOST_LISTED = 10 << 20, 100 << 20
_PATH = re.compile(r"(?:[A-Za-z0-9_.=+-]+/)+crawl=([A-Za-z0-9-]+)/subset=([a-z]+)/[A-Za-z0-9_.=+-]+\.parquet")


def files(asker: Asker, base: str, crawl: str, subsets: Collection[str]) -> list[str]:
    """The paths below `base` of the crawl's files in these subsets, in the order that they are listed.

    Raises:
        SourceRefused: the crawl has no columnar index.
        SourceError: as `Asker.ask`.
    """
    with asker.ask(
        f"{base}/crawl-data/{crawl}/cc-index-table.paths.gz", _Listed(crawl), AsSent(_MOST_BYTES)
    ) as got:
        found = got.contents.document
    assert isinstance(found, list)  # noqa: S101  # `_Listed` has looked
    return [path for path, subset in found if subset in subsets]


class _Listed:
    """Looks over a list of files: paths with their subsets."""

    def __init__(self, crawl: str) -> None:
        self._crawl = crawl

    def __call__(self, answer: Answer) -> Contents | None:
        if answer.status != 200:
            look_for_pause(answer)
            return None
        if answer.size == 0:
            raise Unusable(Outcome.MALFORMED, "it is empty")
        if answer.cut:
            raise Unusable(Outcome.MALFORMED, "it is too large for a list of files")
        lines = _unzipped(answer.whole()).decode("ascii", "replace").splitlines()
        found = [self._path(line.strip()) for line in lines if line.strip().endswith(".parquet")]
        if not found:
            raise Unusable(Outcome.MALFORMED, "it lists no files")
        return Contents(rows=None, document=found)

    def _path(self, line: str) -> tuple[str, str]:
        match = _PATH.fullmatch(line)
        if match is None or match[1] != self._crawl or ".." in line:
            raise Unusable(Outcome.MALFORMED, f"it lists what is no file of {self._crawl}: {line}")
        return line, match[2]


def _unzipped(data: bytes) -> bytes:
    unzip = zlib.decompressobj(31)
    try:
        text = unzip.decompress(data, _MOST_LISTED)
    except zlib.error as error:
        raise Unusable(Outcome.MALFORMED, f"it is no gzip data: {error}") from None
    if unzip.unconsumed_tail:
        raise Unusable(Outcome.MALFORMED, "it is too large for a list of files")
    if not unzip.eof:
        raise Unusable(Outcome.TRUNCATED, "its gzip data ends too early")
    return text
