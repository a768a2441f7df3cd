"""The registry: every synced table and its columns, declared once.

PostgreSQL migrations, Arrow and lake schemas and `docs/tables.md` are checked against this list by tests.
To add a column, add it here with the version it came in and write the migration: new lake files have it, and
old ones answer null.
"""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column of a synced table.

    `lake_only` columns are derived by the lake writer with the DuckDB expression `derived`;
    PostgreSQL does not hold them.
    """

    name: str
    meaning: str
    postgres: str
    arrow: pa.DataType
    unit: str | None = None
    nullable: bool = True
    since: str = "0.1.0"
    derived: str | None = None

    @property
    def lake(self) -> str:
        """The DuckDB type of this column."""
        return _DUCKDB_TYPES[self.arrow]

    @property
    def lake_only(self) -> bool:
        """Whether only the lake holds this column."""
        return self.derived is not None


@dataclass(frozen=True)
class Table:
    """One synced table: its columns, key and the orders in which both stores keep it."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    bucket_by: str
    time: str
    #: the PostgreSQL table that holds these rows; it may have more columns than the lake.
    postgres_table: str = ""

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns which both stores hold, in order."""
        return tuple(column for column in self.columns if not column.lake_only)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of the columns which both stores hold."""
        return pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in self.stored])


_DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.uuid(): "UUID",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.timestamp("us"): "TIMESTAMP",
    pa.date32(): "DATE",
}

_ID = pa.uuid()
_TEXT = pa.string()
_INT = pa.int32()
_BIG = pa.int64()
_TIME = pa.timestamp("us")

CDX_RECORDS = Table(
    name="cdx_records",
    meaning="One row per capture: this URL, at this instant, answered this way.",
    key=("id",),
    sort=("domain", "timestamp"),
    bucket_by="domain",
    time="timestamp",
    postgres_table="cdx_records",
    columns=(
        Column(
            "id",
            "UUID version 8: 48 bits of milliseconds, then a hash of what makes the capture itself",
            "uuid",
            _ID,
            nullable=False,
        ),
        Column("project_id", "the project that collected it", "integer", _INT, nullable=False),
        Column("batch_id", "the ingest batch that stored it", "bigint", _BIG, nullable=False),
        Column(
            "archive_source",
            "where it was collected from: wayback, commoncrawl, local ...",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "url",
            "the captured URL; bytes that are not UTF-8 are percent-encoded",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column("url_key", "URL key (SURT) recomputed from the URL", "text", _TEXT, nullable=False),
        Column(
            "given_url_key", "URL key as the index gave it, where it differs from `url_key`", "text", _TEXT
        ),
        Column(
            "host",
            "host name or IP address, lower case, without port; null where the URL has none",
            "text",
            _TEXT,
        ),
        Column(
            "domain",
            "what captures are grouped by: the registered domain, else the host, else empty",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "registered_domain",
            "registered domain by the ICANN section of the Public Suffix List",
            "text",
            _TEXT,
        ),
        Column(
            "private_domain",
            "registered domain by the whole Public Suffix List, private section included",
            "text",
            _TEXT,
        ),
        Column("tld", "top-level domain; null for IP addresses", "text", _TEXT),
        Column(
            "timestamp",
            "the instant of capture, UTC",
            "timestamp without time zone",
            _TIME,
            unit="UTC",
            nullable=False,
        ),
        Column(
            "timestamp_raw",
            "the timestamp as given, where it had to be repaired or was cut to fit",
            "text",
            _TEXT,
        ),
        Column(
            "timestamp_repaired",
            "whether the given timestamp was no valid date and was repaired",
            "boolean",
            pa.bool_(),
            nullable=False,
        ),
        Column(
            "record_type",
            "WARC record type: response, revisit, request, metadata, resource, warcinfo, dns ...",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "status_code",
            "status of the answer; null where none was given, as for revisits and dns",
            "integer",
            _INT,
        ),
        Column("mime_type", "media type as the server sent it", "text", _TEXT),
        Column("mime_detected", "media type found by looking at the content", "text", _TEXT),
        Column("charset", "character set of the content", "text", _TEXT),
        Column(
            "languages", "languages of the content, ISO-639-3, most used first, with commas", "text", _TEXT
        ),
        Column(
            "content_length",
            "length the index gives: in CDX-11, Wayback and Common Crawl the compressed record with headers",
            "bigint",
            _BIG,
            unit="bytes",
        ),
        Column(
            "digest",
            "digest of the payload: SHA-1 in base32 upper case, others in hexadecimal lower case",
            "text",
            _TEXT,
        ),
        Column("digest_algorithm", "sha1, sha256, md5 ...; null without a digest", "text", _TEXT),
        Column("redirect_url", "where the answer redirected to", "text", _TEXT),
        Column(
            "robot_flags",
            "robot flags: A no-archive, I no-index, F no-follow, P password form",
            "text",
            _TEXT,
        ),
        Column("ip", "IP address of the server", "text", _TEXT),
        Column("truncated", "why the payload was cut: length, time, disconnect", "text", _TEXT),
        Column("warc_filename", "WARC or ARC file that holds the record", "text", _TEXT),
        Column("warc_record_offset", "where the record starts in that file", "bigint", _BIG, unit="bytes"),
        Column("crawl", "name of the crawl, as CC-MAIN-2025-33", "text", _TEXT),
        Column(
            "raw_line", "the line as it was read, kept where it was not valid UTF-8", "bytea", pa.binary()
        ),
        Column("partition_year", "year of the capture", "", _INT, derived='year("timestamp")'),
        Column("partition_month", "month of the capture, 1 to 12", "", _INT, derived='month("timestamp")'),
    ),
)

CONTENT_ANALYTICS = Table(
    name="content_analytics",
    meaning="One row per extracted page: what a capture's content says, in numbers.",
    key=("page_id",),
    sort=("domain", "extraction_timestamp"),
    bucket_by="domain",
    time="extraction_timestamp",
    postgres_table="pages",
    columns=(
        Column("page_id", "the page: the id of the capture whose content it is", "uuid", _ID, nullable=False),
        Column("project_id", "the project that collected it", "integer", _INT, nullable=False),
        Column("batch_id", "the ingest batch that stored it", "bigint", _BIG, nullable=False),
        Column("url", "the captured URL", "text", _TEXT, nullable=False),
        Column("domain", "the capture's domain", "text", _TEXT, nullable=False),
        Column("content_hash", "SHA-256 of the extracted text, hexadecimal", "text", _TEXT),
        Column("word_count", "words of the extracted text", "integer", _INT, unit="words"),
        Column("entity_count", "entities found in the text", "integer", _INT),
        Column("language", "main language, ISO-639-1", "text", _TEXT),
        Column("quality_score", "quality of the text, 0 to 1", "real", pa.float32()),
        Column("extraction_method", "what extracted the text", "text", _TEXT),
        Column(
            "extraction_timestamp",
            "when the text was extracted, UTC",
            "timestamp without time zone",
            _TIME,
            unit="UTC",
            nullable=False,
        ),
        Column("date_captured", "day of the capture, UTC", "date", pa.date32(), unit="UTC", nullable=False),
    ),
)

#: Every table that the lake holds, by name.
TABLES: dict[str, Table] = {table.name: table for table in (CDX_RECORDS, CONTENT_ANALYTICS)}
