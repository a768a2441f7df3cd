"""Turn what a reader found into captures in the declared columns.

Nothing is lost on the way: each raw row becomes one capture or one rejection. Work is done on whole columns;
Python touches distinct hosts, distinct unusual URLs and digests, and each row only to hash its identity.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.capture import digest, host, identity, surt, timestamp
from chronolake.capture.columns import CDX_RECORDS
from chronolake.capture.record import RAW_SCHEMA, CaptureBatch, RawBatch, Reason, Rejection
from chronolake.sources.local.raw import RAW_KEPT

#: Columns of the result: all that both stores hold, less the batch number that the store gives.
SCHEMA = pa.schema([field for field in CDX_RECORDS.arrow_schema if field.name != "batch_id"])
#: Where the beginning of a format's name says who wrote it.
_SOURCES = {
    "wayback": "wayback",
    "timemap": "wayback",
    "commoncrawl": "commoncrawl",
    "common-crawl": "commoncrawl",
    "cc": "commoncrawl",
}
_NULL_TEXT = pa.scalar(None, pa.string())
#: Most digits that surely fit the column.
_INT32_DIGITS = 9
_INT64_DIGITS = 18
#: A terabyte. What is longer is another field that slipped into this one, and would overflow sums.
_LENGTH_DIGITS = 12
_ROBOT_FLAGS = "^[AIFPS]+$"
#: Columns that need no more than `-` read as nothing.
_PLAIN_TEXTS = {
    "mime_type": "mime_type",
    "mime_detected": "mime_detected",
    "charset": "charset",
    "languages": "languages",
    "ip": "ip",
    "truncated": "truncated",
    "warc_filename": "filename",
    "crawl": "crawl",
}
#: Beginnings of media types that name a record which is no response, first match counts.
_RECORD_TYPES_BY_MIME = (
    ("warc/revisit", "revisit"),
    ("warc/request", "request"),
    ("application/http;msgtype=request", "request"),
    ("application/http; msgtype=request", "request"),
    ("warc/metadata", "metadata"),
    ("application/warc-fields", "metadata"),
    ("warc/warcinfo", "warcinfo"),
    ("warc-info", "warcinfo"),
    ("warc/filedesc", "filedesc"),
    ("arc/filedesc", "filedesc"),
    ("warc/resource", "resource"),
    ("warc/conversion", "conversion"),
    ("warc/continuation", "continuation"),
    ("text/dns", "dns"),
)
#: URL schemes that name a record which is no response, whatever the media type.
_RECORD_TYPES_BY_SCHEME = ("dns", "filedesc", "warcinfo", "metadata")


def archive_source_of(format_name: str) -> str:
    """The archive that writes a format: wayback, commoncrawl, else local."""
    name = format_name.lower()
    return next((source for start, source in _SOURCES.items() if name.startswith(start)), "local")


class Normaliser:
    """Makes captures of raw batches, for one project."""

    def __init__(self, project_id: int, archive_source: str | None) -> None:
        self._project_id = project_id
        self._archive_source = archive_source

    def normalise(self, raw: RawBatch) -> CaptureBatch:
        """One capture or one rejection for each row of `raw`, whose own rejections are handed on.

        The captures are sorted by (domain, timestamp).
        """
        rows = _Rows(raw.table)
        urls, times = _urls(rows), timestamp.parse_all(rows["timestamp"])
        kept, rejected = _sift(raw, rows, urls, times)
        if rejected:
            rows, urls = _Rows(raw.table.filter(kept)), urls.filter(kept)
            times = timestamp.ParsedColumn(
                *(c.filter(kept) for c in (times.timestamp, times.raw, times.repaired))
            )
        columns = {
            **_addressed(rows, urls),
            "timestamp": times.timestamp,
            "timestamp_raw": times.raw,
            "timestamp_repaired": times.repaired,
            **_answered(rows, urls),
        }
        source = self._archive_source or archive_source_of(raw.format)
        count = len(urls)
        domain_rank = columns.pop("domain_rank")
        table = _sorted(columns, domain_rank, times.timestamp)
        table = table.append_column("project_id", pa.repeat(pa.scalar(self._project_id, pa.int32()), count))
        table = table.append_column("archive_source", pa.repeat(pa.scalar(source), count))
        table = table.append_column("id", identity.column(self._project_id, table))
        return CaptureBatch(
            file=raw.file,
            table=table.select(SCHEMA.names).cast(SCHEMA),
            rejected=[*raw.rejected, *rejected],
            repaired=pc.sum(times.repaired).as_py() or 0,
        )


class _Rows:
    """The columns of a raw table as single arrays, without NUL in any text."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._arrays: dict[str, pa.Array] = {}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self._arrays:
            chunks = self._table[name]
            array = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
            self._arrays[name] = _without_nul(array) if pa.types.is_string(array.type) else array
        return self._arrays[name]

    def text(self, name: str) -> pa.StringArray:
        """A text column, null where it is missing, `-` or empty."""
        array = self[name]
        if array.null_count == len(array):
            return array
        # Two bytes or more are always something; comparing lengths first saves comparing texts.
        short = pc.less_equal(pc.binary_length(array), 1)
        if not pc.any(short).as_py():
            return array
        missing = pc.or_(pc.equal(array, "-"), pc.equal(array, ""))
        return pc.if_else(missing, _NULL_TEXT, array)


def _without_nul(texts: pa.StringArray) -> pa.StringArray:
    """PostgreSQL stores no NUL in a text, so it is percent-encoded."""
    _, offsets, data = texts.buffers()
    if data is None or texts.null_count == len(texts):
        return texts
    bounds = np.frombuffer(offsets, dtype=np.int32)
    content = np.frombuffer(data, dtype=np.uint8)[bounds[texts.offset] : bounds[texts.offset + len(texts)]]
    if content.all():
        return texts
    return pc.replace_substring(texts, "\0", "%00")


def _urls(rows: _Rows) -> pa.StringArray:
    """The URLs as given; where there is none, the one its key stands for, else null."""
    urls = rows.text("url")
    if urls.null_count == 0:
        return urls
    encoded = rows.text("url_key").dictionary_encode()
    rebuilt = pa.array([surt.url_of(given) for given in encoded.dictionary.to_pylist()], pa.string())
    return pc.coalesce(urls, rebuilt.take(encoded.indices))


def _sift(
    raw: RawBatch, rows: _Rows, urls: pa.StringArray, times: timestamp.ParsedColumn
) -> tuple[pa.BooleanArray, list[Rejection]]:
    """Tell rows that can be captures from those that cannot, and why those cannot."""
    kept = pc.and_(pc.is_valid(urls), pc.is_valid(times.timestamp))
    if len(rows) == 0 or pc.all(kept).as_py():
        return kept, []
    lost = np.flatnonzero(~kept.to_numpy(zero_copy_only=False))
    rejected = []
    for row in raw.table.take(pa.array(lost)).to_pylist():
        reason, detail = _reason(row, timestamp.MISSING)
        rejected.append(Rejection(raw.file, row["position"], reason, detail, _raw_line(row)))
    return kept, rejected


def _reason(row: dict[str, str | None], missing: frozenset[str]) -> tuple[Reason, str]:
    if (row["url"] or "") in missing and surt.url_of((row["url_key"] or "").replace("\0", "%00")) is None:
        return Reason.NO_URL, f"no URL, and none can be rebuilt from the key {_quoted(row['url_key'])}"
    given = (row["timestamp"] or "").strip()
    if given in missing:
        return Reason.NO_TIMESTAMP, "no timestamp"
    return Reason.TIMESTAMP, f"{_quoted(given)} is no date and cannot be repaired"


def _quoted(text: str | None) -> str:
    return repr((text or "")[:80])


def _raw_line(row: dict[str, str | bytes | None]) -> bytes:
    """The line as read where it was kept; else its fields in the order of RAW_SCHEMA, with spaces between."""
    line = row["raw_line"]
    if isinstance(line, bytes):
        return line[:RAW_KEPT]
    fields = [row[name] for name in RAW_SCHEMA.names if name not in {"position", "raw_line"}]
    return " ".join(str(field) for field in fields if field is not None).encode()[:RAW_KEPT]


def _addressed(rows: _Rows, urls: pa.StringArray) -> dict[str, pa.Array]:
    """URL, keys and host columns, and `domain_rank`, which orders rows as their domains are ordered."""
    found = surt.keys(urls)
    given = rows.text("url_key")
    # Where the package makes no key, the index's own is the best there is.
    keys = found.key
    if keys.null_count:
        keys = pc.coalesce(keys, given, pc.utf8_lower(urls))
    if given.null_count < len(given):
        # A request with a body has it in its key only: the URL cannot give that key again.
        body = pc.fill_null(pc.match_substring(given, surt.REQUEST_BODY_KEY), fill_value=False)
        if pc.any(body).as_py():
            keys = pc.if_else(body, given, keys)
        given = pc.if_else(pc.equal(given, keys), _NULL_TEXT, given)
    hosts = [host.of_url(text) for text in found.host_texts]
    ranks = {name: rank for rank, name in enumerate(sorted({h.domain for h in hosts}))}

    def spread(of: Callable[[host.Host], str | None]) -> pa.StringArray:
        return pa.array([of(h) for h in hosts], pa.string()).take(found.host_codes)

    return {
        "url": urls,
        "url_key": keys,
        "given_url_key": given,
        "host": spread(lambda h: h.name),
        "domain": spread(lambda h: h.domain),
        "registered_domain": spread(lambda h: h.registered_domain),
        "private_domain": spread(lambda h: h.private_domain),
        "tld": spread(lambda h: h.tld),
        "domain_rank": pa.array([ranks[h.domain] for h in hosts], pa.int64()).take(found.host_codes),
    }


def _answered(rows: _Rows, urls: pa.StringArray) -> dict[str, pa.Array]:
    """What the archive says of the answer."""
    digests, algorithms = digest.normalise_all(rows.text("digest"))
    redirects, flags = _redirects(rows)
    texts = {name: rows.text(given) for name, given in _PLAIN_TEXTS.items()}
    texts["mime_type"] = _trimmed(texts["mime_type"])
    return {
        **texts,
        "record_type": _record_types(rows.text("record_type"), texts["mime_type"], urls),
        "status_code": _numbers(rows["status"], _INT32_DIGITS, pa.int32()),
        "content_length": _numbers(rows["length"], _LENGTH_DIGITS, pa.int64()),
        "digest": digests,
        "digest_algorithm": algorithms,
        "redirect_url": redirects,
        "robot_flags": flags,
        "warc_record_offset": _numbers(rows["offset"], _INT64_DIGITS, pa.int64()),
        "raw_line": rows["raw_line"],
    }


def _numbers(texts: pa.StringArray, most_digits: int, kind: pa.DataType) -> pa.Array:
    """Whole numbers from 0; null for `-`, a sign, a text, or more than the column holds."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), kind)
    numeric = pc.match_substring_regex(texts, f"^[0-9]{{1,{most_digits}}}$")
    if pc.all(numeric, skip_nulls=True).as_py():
        return texts.cast(kind)
    return pc.if_else(numeric, texts, _NULL_TEXT).cast(kind)


def _redirects(rows: _Rows) -> tuple[pa.StringArray, pa.StringArray]:
    """Redirect and robot flags; flags that stand in the redirect's column are moved to their own."""
    redirects, flags = rows.text("redirect_url"), rows.text("robot_flags")
    if redirects.null_count == len(redirects):
        return redirects, flags
    misplaced = pc.fill_null(pc.match_substring_regex(redirects, _ROBOT_FLAGS), fill_value=False)
    if not pc.any(misplaced).as_py():
        return redirects, flags
    moved = pc.if_else(misplaced, redirects, _NULL_TEXT)
    return pc.if_else(misplaced, _NULL_TEXT, redirects), pc.coalesce(flags, moved)


def _trimmed(texts: pa.StringArray) -> pa.StringArray:
    encoded = texts.dictionary_encode()
    trimmed = [(text or "").strip() or None for text in encoded.dictionary.to_pylist()]
    if trimmed == encoded.dictionary.to_pylist():
        return texts
    return pa.array(trimmed, pa.string()).take(encoded.indices)


def _record_types(given: pa.StringArray, mimes: pa.StringArray, urls: pa.StringArray) -> pa.StringArray:
    """The record type the format gives, else the one that the media type or the URL's scheme means."""
    if given.null_count == 0:
        return pc.utf8_lower(given)
    encoded = mimes.dictionary_encode()
    by_mime = pa.array([_record_type(mime) for mime in encoded.dictionary.to_pylist()], pa.string())
    found = pc.fill_null(by_mime.take(encoded.indices), "response")
    plain = pc.starts_with(urls, "http")
    if not pc.all(plain).as_py():
        for scheme in _RECORD_TYPES_BY_SCHEME:
            found = pc.if_else(pc.starts_with(urls, f"{scheme}:"), scheme, found)
    return pc.coalesce(pc.utf8_lower(given), found)


def _record_type(mime: str) -> str:
    lowered = mime.lower()
    return next((kind for start, kind in _RECORD_TYPES_BY_MIME if lowered.startswith(start)), "response")


def _sorted(columns: dict[str, pa.Array], domain_rank: pa.Array, timestamps: pa.Array) -> pa.Table:
    order = pa.array(np.lexsort((timestamps.view(pa.int64()).to_numpy(), domain_rank.to_numpy())))
    return pa.table(
        {
            # A column of nulls is in order already; a format fills about half of the columns.
            name: array if array.null_count == len(array) else array.take(order)
            for name, array in columns.items()
        }
    )
