"""The columnar index of the made-up archive: Parquet files of its captures, laid out as Common Crawl lays out its own.

Each crawl has a list of files, compressed; each of its subsets two files, sorted by URL key, of several row groups.
As there, the first file is not the one with the first keys.
"""

import gzip
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

#: What the addresses of its files begin with.
FOLDERS = ("/cc-index/", "/crawl-data/")
#: Row groups of a file, and rows of the smallest: so few that a domain of a hundred captures has several.
_GROUPS, _GROUP_ROWS = 8, 25
_SUFFIX = re.compile(r"bytes=-([0-9]+)")


class Captured(Protocol):
    """A made-up capture."""

    @property
    def key(self) -> str:
        """Its URL key."""
        ...

    url: str
    timestamp: str
    status: str
    mime: str
    digest: str


@lru_cache(maxsize=8)
def files_of(captures: tuple[Captured, ...], crawls: tuple[str, str], newer_from: str) -> dict[str, bytes]:
    """The files by their path. Of the two crawls the first has what was captured from the year `newer_from` on."""
    found: dict[str, bytes] = {}
    for newer, crawl in zip((True, False), crawls, strict=True):
        # Captures that can be told by their times alone: a time that is none cannot stand in this index.
        of_crawl = [made for made in captures if (made.timestamp >= newer_from) == newer and _time(made)]
        found |= _crawl_files(crawl, of_crawl)
    return found


def _crawl_files(crawl: str, captures: Sequence[Captured]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for subset in ("crawldiagnostics", "warc"):
        rows = [made for made in captures if (made.status in {"200", "-"}) == (subset == "warc")]
        rows.sort(key=lambda made: (made.key, made.timestamp))
        half = -(-len(rows) // 2)
        for part, some in enumerate((rows[half:], rows[:half])):
            path = f"/cc-index/table/cc-main/warc/crawl={crawl}/subset={subset}/part-{part:05d}.c000.parquet"
            found[path] = parquet(some, crawl)
    listed = "".join(f"{path[1:]}\n" for path in found)
    return found | {f"/crawl-data/{crawl}/cc-index-table.paths.gz": gzip.compress(listed.encode(), mtime=0)}


def parquet(captures: Sequence[Captured], crawl: str) -> bytes:
    """A file of the index with these captures, in their order; equal captures are one record of one WARC file."""
    records = {made: number for number, made in enumerate(dict.fromkeys(captures))}
    hosts = [made.url.split("/")[2] for made in captures]
    table = pa.table(
        {
            "url_surtkey": [made.key for made in captures],
            "url": [made.url for made in captures],
            # Columns that nobody here asks for lie between those that are.
            "url_host_name": hosts,
            "url_host_registered_domain": [".".join(host.split(".")[-2:]) for host in hosts],
            "fetch_time": pa.array([_time(made) for made in captures], pa.timestamp("ms", "UTC")),
            "fetch_status": pa.array([_number(made.status) for made in captures], pa.int16()),
            "content_digest": [made.digest for made in captures],
            "content_mime_type": [made.mime for made in captures],
            "content_mime_detected": [made.mime for made in captures],
            "content_charset": pa.array(["UTF-8"] * len(captures), pa.string()),
            "content_languages": pa.array(["eng"] * len(captures), pa.string()),
            "content_truncated": pa.nulls(len(captures), pa.string()),
            "warc_filename": pa.array(
                [f"crawl-data/{crawl}/segments/1/warc/a.warc.gz"] * len(captures), pa.string()
            ),
            "warc_record_offset": pa.array([records[made] * 1000 for made in captures], pa.int32()),
            "warc_record_length": pa.array([321] * len(captures), pa.int32()),
            "warc_segment": pa.array(["1"] * len(captures), pa.string()),
        }
    )
    written = BytesIO()
    group_rows = max(_GROUP_ROWS, len(captures) // _GROUPS)
    pq.write_table(table, written, row_group_size=group_rows, compression="zstd")
    return written.getvalue()


def from_start(asked_range: str | None, size: int) -> str | None:
    """A range as `bytes=FIRST-LAST`, where it says how many of the last bytes of `size` are wanted."""
    match = _SUFFIX.fullmatch(asked_range or "")
    if match is None:
        return asked_range
    # Of a file without bytes there is no range, whichever is asked for.
    return f"bytes={max(0, size - int(match[1]))}-{max(0, size - 1)}"


def _time(made: Captured) -> datetime | None:
    try:
        return datetime.strptime(made.timestamp, "%Y%m%d%H%M%S")  # noqa: DTZ007  # an index's times are UTC
    except ValueError:
        return None


def _number(status: str) -> int | None:
    return int(status) if status.isdecimal() else None
