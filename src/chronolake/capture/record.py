r"""What readers hand to the normaliser, and the normaliser to the stores.

A reader of any format yields `RawBatch`es: strings as the file gives them, a column each, plus the lines it
could not make sense of. The normaliser turns each into a `CaptureBatch` in the declared columns. So
`read = len(table) + len(rejected)` holds for both, and no line can get lost between them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

#: Columns of a raw batch. All strings are as given, `-` included; null: the format has no such field.
#: Bytes that are not UTF-8 are percent-encoded (`\xe9` as `%E9`); the whole line then stands in `raw_line`.
RAW_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),  # line or record number in the file, from 1
        pa.field("url_key", pa.string()),
        pa.field("timestamp", pa.string()),
        pa.field("url", pa.string()),
        pa.field("mime_type", pa.string()),
        pa.field("status", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("redirect_url", pa.string()),
        pa.field("robot_flags", pa.string()),
        pa.field("length", pa.string()),
        pa.field("offset", pa.string()),
        pa.field("filename", pa.string()),
        pa.field("ip", pa.string()),
        pa.field("mime_detected", pa.string()),
        pa.field("charset", pa.string()),
        pa.field("languages", pa.string()),
        pa.field("truncated", pa.string()),
        pa.field(
            "record_type", pa.string()
        ),  # WARC-Type where the format says it; else null, and mime decides
        pa.field("crawl", pa.string()),
        pa.field("raw_line", pa.binary()),
    ]
)


class Reason(StrEnum):
    """Why a line was rejected. The words stand in the quarantine, in `--json` and in docs/formats.md."""

    FIELDS = "fields"  #: too few fields for the format
    JSON = "json"  #: the JSON of the line does not parse, or is no object
    NO_URL = "no_url"  #: no URL, and none can be rebuilt from the key
    NO_TIMESTAMP = "no_timestamp"  #: no timestamp, or `-`
    TIMESTAMP = "timestamp"  #: a timestamp that is no date and cannot be repaired
    TOO_LONG = "too_long"  #: longer than the limit for one line
    RECORD = "record"  #: a WARC or ARC record that cannot be read
    TRUNCATED = "truncated"  #: the file ends, or its compression breaks, within this line or record
    VALUE = "value"  #: a number or text that no column can hold


@dataclass(frozen=True)
class Rejection:
    """One line or record that was not stored, and why."""

    file: str
    position: int
    reason: Reason
    detail: str
    #: the bytes as read, cut to the first 8 KiB
    raw: bytes


@dataclass(frozen=True)
class RawBatch:
    """A run of lines of one file: `table` in RAW_SCHEMA, and the lines that could not be taken apart."""

    file: str
    format: str
    table: pa.Table
    rejected: list[Rejection] = field(default_factory=list)
    #: bytes of the file consumed so far, compressed as they lie on disk; for progress only
    bytes_read: int = 0

    @property
    def read(self) -> int:
        """Data lines this batch accounts for."""
        return int(self.table.num_rows) + len(self.rejected)


@dataclass(frozen=True)
class CaptureBatch:
    """Captures in the declared columns of `cdx_records`, sorted by (domain, timestamp).

    `table` has `CDX_RECORDS.arrow_schema` less `batch_id`, which the store gives. It may hold the same id
    twice when the input does; the store counts the second as a duplicate.
    """

    file: str
    table: pa.Table
    rejected: list[Rejection] = field(default_factory=list)
    repaired: int = 0

    @property
    def read(self) -> int:
        """Data lines this batch accounts for."""
        return int(self.table.num_rows) + len(self.rejected)
