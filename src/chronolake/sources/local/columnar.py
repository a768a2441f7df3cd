"""Common Crawl's columnar index: Parquet with old and new columns, a row group's slice at a time."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chronolake.sources.local.raw import table_of

#: Columns of cc-index-table (its flat schema), by ours.
COLUMNS = {
    "url_key": "url_surtkey",
    "url": "url",
    "timestamp": "fetch_time",
    "status": "fetch_status",
    "redirect_url": "fetch_redirect",
    "digest": "content_digest",
    "mime_type": "content_mime_type",
    "mime_detected": "content_mime_detected",
    "charset": "content_charset",
    "languages": "content_languages",
    "truncated": "content_truncated",
    "filename": "warc_filename",
    "offset": "warc_record_offset",
    "length": "warc_record_length",
    "crawl": "crawl",
}
#: Without these a file is some other Parquet.
NEEDED = frozenset({"url", "fetch_time"})
_CRAWL = r"(?P<crawl>CC-MAIN-[0-9]{4}-[0-9]{2})"


def open_index(stream: BinaryIO) -> pq.ParquetFile | None:
    """The file, if it has the columns of an index; null for any other Parquet.

    Raises:
        pyarrow.ArrowException: it is damaged.
    """
    file = pq.ParquetFile(stream)
    return file if set(file.schema_arrow.names) >= NEEDED else None


def tables(file: pq.ParquetFile, batch_rows: int) -> Iterator[pa.Table]:
    """All rows in RAW_SCHEMA, positions from 1.

    Raises:
        pyarrow.ArrowException: it is damaged, or a column holds what is no text, number or time.
        KeyError: a column is there twice.
    """
    present = {name: column for name, column in COLUMNS.items() if column in file.schema_arrow.names}
    position = 1
    for batch in file.iter_batches(batch_size=batch_rows, columns=sorted(set(present.values()))):
        columns = {name: _text(batch[column]) for name, column in present.items()}
        if "crawl" not in columns and "filename" in columns:
            columns["crawl"] = pc.struct_field(pc.extract_regex(columns["filename"], _CRAWL), "crawl")
        positions = pa.array(range(position, position + batch.num_rows), pa.int64())
        table = table_of({"position": positions, **columns}, batch.num_rows)
        # Parquet says that a column is text; only looking at it proves that it is.
        table.validate(full=True)
        yield table
        position += batch.num_rows


def _text(array: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(array.type):
        array = pc.assume_timezone(array, "UTC") if array.type.tz is None else array
        return pc.strftime(pc.cast(array, pa.timestamp("s", "UTC"), safe=False), "%Y%m%d%H%M%S")
    return array if pa.types.is_string(array.type) else pc.cast(array, pa.string())
