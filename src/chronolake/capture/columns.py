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
    PostgreSQL does not hold them. A column `across_projects` tells of other projects' work, so that it is
    null to whoever may look at some projects only.
    """

    name: str
    meaning: str
    postgres: str
    arrow: pa.DataType
    unit: str | None = None
    nullable: bool = True
    since: str = "0.1.0"
    derived: str | None = None
    across_projects: bool = False

    @property
    def lake(self) -> str:
        """The DuckDB type of this column."""
        return DUCKDB_TYPES[self.arrow]

    @property
    def lake_only(self) -> bool:
        """Whether only the lake holds this column."""
        return self.derived is not None


@dataclass(frozen=True)
class Table:
    """One synced table: its columns, key and the order in which the lake keeps it.

    The columns of `sort`, `bucket_by` and `time` are never null. A table without `bucket_by` and `time` is
    small: it has no partitions, whatever the layout.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    #: the primary key, in both stores.
    key: str
    sort: tuple[str, ...]
    #: the PostgreSQL table that holds these rows; it may have more columns than the lake.
    postgres_table: str
    bucket_by: str | None = None
    time: str | None = None
    #: the column that names a row's project; a row where it is null shows only to who may look at everything.
    #: None: rows belong to no project, and show where a capture in sight has the same value in the key's column.
    project_by: str | None = "project_id"
    #: rows tell of the system itself, and show only to who may look at everything
    of_system: bool = False

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


#: What DuckDB calls the types that columns have.
DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.uuid(): "UUID",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.bool_(): "BOOLEAN",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    pa.date32(): "DATE",
}

_ID = pa.uuid()
_TEXT = pa.string()
_INT = pa.int32()
_BIG = pa.int64()
_REAL = pa.float32()
_DOUBLE = pa.float64()
_TIME = pa.timestamp("us")
_ZONED = pa.timestamp("us", tz="UTC")
_TIMESTAMP = "timestamp without time zone"
#: Of tables that had such columns before they were synced, so that each table has times of one kind.
_TIMESTAMPTZ = "timestamp with time zone"

CDX_RECORDS = Table(
    name="cdx_records",
    meaning="One row per capture: this URL, at this instant, answered this way.",
    key="id",
    sort=("domain", "timestamp"),
    postgres_table="cdx_records",
    bucket_by="domain",
    time="timestamp",
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
            _TIMESTAMP,
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
    key="page_id",
    sort=("domain", "extraction_timestamp"),
    postgres_table="pages",
    bucket_by="domain",
    time="extraction_timestamp",
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
        Column("quality_score", "quality of the text, 0 to 1", "real", _REAL),
        Column("extraction_method", "what extracted the text", "text", _TEXT),
        Column(
            "extraction_timestamp",
            "when the text was extracted, UTC",
            _TIMESTAMP,
            _TIME,
            unit="UTC",
            nullable=False,
        ),
        Column("date_captured", "day of the capture, UTC", "date", pa.date32(), unit="UTC", nullable=False),
        Column(
            "simhash",
            "64 bits of the text as a signed number: near texts differ in few of them",
            "bigint",
            _BIG,
        ),
        Column("mime_detected", "media type found by looking at the payload", "text", _TEXT),
        Column(
            "charset", "character set that the payload was read with; null where it has none", "text", _TEXT
        ),
        Column("published", "when the page says that it was published", "date", pa.date32()),
        Column("language_confidence", "how sure the language is, 0 to 1", "real", _REAL),
        Column("link_count", "different http and https URLs that the page links to", "integer", _INT),
    ),
)

PAGE_ENTITIES = Table(
    name="page_entities",
    meaning="One row per entity of a page and extractor: who, where, when and how much a text speaks of.",
    key="id",
    # By kind within a domain: what is asked for is a domain's persons, or its places.
    sort=("domain", "kind", "value"),
    postgres_table="page_entities",
    bucket_by="domain",
    time="extraction_timestamp",
    columns=(
        Column("id", "number of the row", "bigint", _BIG, nullable=False),
        Column("page_id", "the page whose text names it", "uuid", _ID, nullable=False),
        Column("project_id", "the project that collected the page", "integer", _INT, nullable=False),
        Column("batch_id", "the ingest batch that stored it; null where none did", "bigint", _BIG),
        Column("domain", "the page's domain", "text", _TEXT, nullable=False),
        Column(
            "kind",
            "person, organisation, place, email, phone, url, hashtag, date or money",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column("value", "the entity as the text writes it first", "text", _TEXT, nullable=False),
        Column(
            "canonical",
            "the same in one form for all who write it differently: a date as ISO 8601, a phone as E.164,"
            " money as amount and currency; null where there is none",
            "text",
            _TEXT,
        ),
        Column("count", "how often the page names it", "integer", _INT, nullable=False),
        Column(
            "position", "where the text first names it, counted from 0", "integer", _INT, unit="characters"
        ),
        Column("confidence", "how sure the extractor is, 0 to 1; null where it does not say", "real", _REAL),
        Column("extractor", "what found it, with its version", "text", _TEXT, nullable=False),
        Column(
            "extraction_timestamp",
            "when it was extracted, UTC",
            _TIMESTAMP,
            _TIME,
            unit="UTC",
            nullable=False,
        ),
        Column("date_captured", "day of the capture, UTC", "date", pa.date32(), unit="UTC", nullable=False),
    ),
)

SEARCH_HISTORY = Table(
    name="search_history",
    meaning="One row per question that was asked, with what it cost.",
    key="id",
    sort=("searched_at",),
    postgres_table="search_history",
    columns=(
        Column("id", "number of the row", "bigint", _BIG, nullable=False),
        Column(
            "project_id", "the project it was about; null where it was about several or all", "integer", _INT
        ),
        Column(
            "user_id", "who asked; null where nobody was signed in, or the person is gone", "integer", _INT
        ),
        Column(
            "question",
            "name of the question, `sql` for SQL, `search` for words",
            "text",
            _TEXT,
            nullable=False,
        ),
        # Not `query`: that is the name of a function which SQL of readers may not use.
        Column("query_text", "the SQL, the words or the parameters that were asked", "text", _TEXT),
        Column("engine", "what answered: duckdb, postgres; null where nothing could", "text", _TEXT),
        Column("elapsed_ms", "how long the answer took", "double precision", _DOUBLE, unit="ms"),
        Column("rows", "rows of the answer", "bigint", _BIG, unit="rows"),
        Column("searched_at", "when it was asked, UTC", _TIMESTAMP, _TIME, unit="UTC", nullable=False),
        Column(
            "project_count",
            "how many projects it was about; null where it was about all",
            "integer",
            _INT,
        ),
        Column(
            "reason",
            "the short code of why that engine answered: analytic, cached, rollup ...; null where nothing could",
            "text",
            _TEXT,
        ),
        # Not `error`, which is the name of a function too.
        Column("error_class", "class of the error; null where it was answered", "text", _TEXT),
        Column(
            "rollups",
            "the rollups that it was read from, with commas between them; null where there was none",
            "text",
            _TEXT,
        ),
    ),
)

ARCHIVE_REQUEST_ATTEMPTS = Table(
    name="archive_request_attempts",
    meaning="One row per request to an archive, failed ones too: what archives are compared by.",
    key="id",
    sort=("archive_source", "requested_at"),
    postgres_table="archive_request_attempts",
    columns=(
        Column("id", "number of the row", "bigint", _BIG, nullable=False),
        Column("session_id", "the scrape session it belongs to, if any", "bigint", _BIG),
        Column(
            "archive_source",
            "the archive that was asked: wayback, commoncrawl ...",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "outcome",
            "how it went: ok, empty, not_found, throttled, blocked, client_error, server_error, timeout,"
            " unreachable, malformed, truncated, cancelled or not_sent",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "latency_ms",
            "from sending it to the last byte of the answer",
            "double precision",
            _DOUBLE,
            unit="ms",
        ),
        Column("bytes", "bytes of the answer's body as they were sent", "bigint", _BIG, unit="bytes"),
        Column("requested_at", "when it was sent", _TIMESTAMPTZ, _ZONED, unit="UTC", nullable=False),
        Column("project_id", "the project it was made for; null where for none", "integer", _INT),
        Column("url", "the URL that was asked, without secrets", "text", _TEXT),
        Column("status_code", "HTTP status of the answer; null without an answer", "integer", _INT),
        Column(
            "rows",
            "captures or records in the answer; null where none were read",
            "bigint",
            _BIG,
            unit="rows",
        ),
        Column(
            "retry", "0 for the first try of a request, 1 for the next ...", "integer", _INT, nullable=False
        ),
    ),
)

SCRAPE_SESSIONS = Table(
    name="scrape_sessions",
    meaning="One row per run of collecting a domain's captures from an archive.",
    key="id",
    sort=("project_id", "created_at"),
    postgres_table="scrape_sessions",
    columns=(
        Column("id", "number of the row", "bigint", _BIG, nullable=False),
        Column("project_id", "the project it collects for", "integer", _INT, nullable=False),
        Column(
            "archive_source",
            "the archive that is asked: wayback, commoncrawl ...",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column("state", "waiting, running, paused, done, failed or cancelled", "text", _TEXT, nullable=False),
        Column("created_at", "when it was asked for", _TIMESTAMPTZ, _ZONED, unit="UTC", nullable=False),
        Column("finished_at", "when it ended; null before", _TIMESTAMPTZ, _ZONED, unit="UTC"),
        Column("domain", "the domain that is collected; null where several are", "text", _TEXT),
        Column(
            "started_at", "when it began to ask the archive; null before", _TIMESTAMPTZ, _ZONED, unit="UTC"
        ),
        Column("read", "captures that the archive gave", "bigint", _BIG, nullable=False),
        Column("stored", "of these, new ones", "bigint", _BIG, nullable=False),
        Column("duplicate", "of these, stored before", "bigint", _BIG, nullable=False),
        Column("rejected", "of these, ones that could not be stored", "bigint", _BIG, nullable=False),
    ),
)

PROJECTS = Table(
    name="projects",
    meaning="One row per project: a named set of captures. Whose it is, only PostgreSQL knows.",
    key="id",
    sort=("id",),
    postgres_table="projects",
    project_by="id",
    columns=(
        Column("id", "number of the project", "integer", _INT, nullable=False),
        Column("name", "its name", "text", _TEXT, nullable=False),
        Column("created_at", "when it was made", _TIMESTAMPTZ, _ZONED, unit="UTC", nullable=False),
    ),
)

DOMAINS = Table(
    name="domains",
    meaning="One row per domain that captures were seen of, in any project.",
    key="domain",
    sort=("domain",),
    postgres_table="domains",
    project_by=None,
    columns=(
        Column("domain", "what captures are grouped by, as in `cdx_records`", "text", _TEXT, nullable=False),
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
            "first_seen_at",
            "when the first capture of it was stored, by whichever project; null within a scope",
            _TIMESTAMPTZ,
            _ZONED,
            unit="UTC",
            nullable=False,
            across_projects=True,
        ),
    ),
)

METRIC_SAMPLES = Table(
    name="metric_samples",
    meaning="One row per value that a metric of a process had at a time; values that did not change are left out.",
    key="id",
    sort=("metric", "sampled_at"),
    postgres_table="metric_samples",
    of_system=True,
    columns=(
        Column("id", "number of the row", "bigint", _BIG, nullable=False),
        Column(
            "sampled_at",
            "when it was read, UTC",
            _TIMESTAMP,
            _TIME,
            unit="UTC",
            nullable=False,
        ),
        Column(
            "process",
            "the process it was read in: host, number",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column("metric", "its name, as in docs/metrics.md", "text", _TEXT, nullable=False),
        Column(
            "labels",
            "its labels as a JSON object, in order",
            "text",
            _TEXT,
            nullable=False,
        ),
        Column(
            "value",
            "its value, in the metric's unit",
            "double precision",
            _DOUBLE,
            nullable=False,
        ),
    ),
)

#: Every table that both stores hold, by name.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        CDX_RECORDS,
        CONTENT_ANALYTICS,
        PAGE_ENTITIES,
        SEARCH_HISTORY,
        ARCHIVE_REQUEST_ATTEMPTS,
        SCRAPE_SESSIONS,
        PROJECTS,
        DOMAINS,
        METRIC_SAMPLES,
    )
}
