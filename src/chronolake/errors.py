"""The one tree of errors: the class says what happened, its attributes hold the facts.

ChronolakeError
├── SettingsError                a setting is unknown, unreadable or out of bounds
├── InputError                   what was handed in cannot be read
│   ├── InputUnreadable          missing, without rights, a folder with nothing in it
│   └── FormatUnknown            readable, but no capture index, WARC, ARC or WACZ
├── SourceError                  a web archive did not give what was asked of it
│   ├── SourceUnavailable        out of reach, too slow, asks for a pause, or its answer cannot be used
│   │   └── SourceHeldBack       it failed too often, so that it is not asked for a while
│   ├── SourceRefused            the archive will not answer this request
│   │   └── SourceBlocked        not for us: excluded by its owner, by robots, or our address is blocked
│   ├── ArchiveQueryInvalid      nothing that an archive can be asked, or not this one
│   ├── SessionUnknown           no scrape session of that number
│   ├── SessionBusy              a living process works on the scrape session
│   ├── SessionEnded             a scrape session in this state cannot be paused, resumed ...
│   └── CollectStopped           whoever asked for it stopped it
├── ExtractError                 from a payload to a page
│   ├── ExtractorMissing         a library or model that was asked for is not installed
│   ├── WorkersBroken            the processes that read payloads do not come up
│   ├── NoPage                   a payload gives no page; `facts` name the kind
│   └── ProjectUnknown           no project of that name, whose captures could become pages
├── JobError                     work that was queued
│   ├── WorkerLost               the process that ran it is gone
│   ├── ScheduleInvalid          how often is no duration and no cron
│   ├── ScheduleUnknown          no schedule of that number
│   ├── ExportUnknown            no export of that id
│   ├── ExportUnready            an export is not done, so that it has no file
│   ├── ExportGone               the file of an export is not there
│   └── ExportStopped            whoever ran it stopped it, or it is not wanted any more
├── OutputError                  a file that was asked for cannot be written
├── DatabaseError                PostgreSQL
│   ├── DatabaseUnavailable      no connection, or it broke
│   ├── DatabaseConflict         another transaction was in the way
│   ├── DatabaseMisconfigured    too old, `wal_level` not logical, a right is missing
│   └── MigrationFailed          the schema could not be brought up to date
├── LakeError                    the lake
│   ├── LakeUnavailable          catalog or files out of reach, extension missing
│   │   └── LakeMissing          nobody has made the lake of this database yet
│   ├── LakeIncomplete           captures are missing, nobody knows how many
│   ├── LakeBehind               the lake is older than the question allows
│   ├── LakeBusy                 another committer holds the lock
│   ├── SnapshotExpired          a state so old is not kept
│   ├── SchemaMismatch           rows do not have the declared columns
│   └── StorageFull              no room left on the disk
├── SyncError                    the stream of changes from PostgreSQL to the lake
│   ├── DecodeError              bytes are no message of `pgoutput`
│   ├── ValueUnrepresentable     PostgreSQL holds a value that the lake's type cannot
│   └── TableNotParked           a table was to be resumed that is not parked
└── QueryError                   a question or an SQL text
    ├── QuestionUnknown          no question of that name
    ├── ParameterInvalid         a parameter is missing, unknown or out of bounds
    ├── SqlRefused               not one SELECT over known tables
    ├── QueryTimeout             the deadline passed
    └── EngineUnavailable        no engine can answer now
"""

from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """Whether doing the same thing again can help."""

    LATER = "later"  #: yes, without any change
    NEVER = "never"  #: no: the request itself must change
    OPERATOR = "operator"  #: yes, once a person has followed the hint


class ChronolakeError(Exception):
    """Something chronolake could not do; `hint` says what to do about it."""

    retry: ClassVar[Retry] = Retry.NEVER
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint
        self.facts = facts

    @property
    def message(self) -> str:
        """The sentence that says what happened."""
        return str(self.args[0])

    def document(self) -> dict[str, str]:
        """The error as JSON: its class, message, hint and whether trying again helps."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "retry": self.retry.value,
        }


class SettingsError(ChronolakeError):
    """A setting is unknown, unreadable or out of bounds."""

    retry = Retry.OPERATOR
    hint = "See what is in force: chronolake settings"


class InputError(ChronolakeError):
    """What was handed in cannot be read."""


class InputUnreadable(InputError):
    """A path is missing, may not be read, or holds nothing."""

    retry = Retry.OPERATOR


class FormatUnknown(InputError):
    """The content is no capture index, WARC, ARC or WACZ."""

    hint = "The formats that can be read are listed in docs/formats.md."


class SourceError(ChronolakeError):
    """A web archive did not give what was asked of it."""


class SourceUnavailable(SourceError):
    """The archive is out of reach, too slow, asks for a pause, or gave what cannot be used."""

    retry = Retry.LATER
    hint = "Run the same command again later: it goes on where it stood."


class SourceHeldBack(SourceUnavailable):
    """The archive failed too often, or asks for a long pause, so that it is not asked for a while."""


class SourceRefused(SourceError):
    """The archive will not answer this request."""

    retry = Retry.OPERATOR
    hint = "Check what is asked, and the address: docs/sources.md says what each source takes."


class SourceBlocked(SourceRefused):
    """The archive answers, but not us: its owner excluded the site, or our address is blocked."""

    hint = (
        "If the site is excluded, no retry will help. If our address is blocked, wait for a day, and set"
        " CHRONOLAKE_CONTACT so that the archive's operators can reach you."
    )


class ArchiveQueryInvalid(SourceError):
    """Nothing that an archive can be asked, or not this one."""


class SessionUnknown(SourceError):
    """There is no scrape session of that number."""

    hint = "chronolake collect without --resume goes on with the newest unfinished session by itself."


class SessionBusy(SourceError):
    """A living process works on the scrape session."""

    retry = Retry.LATER
    hint = "Let it end, or stop it with Ctrl-C."


class SessionEnded(SourceError):
    """A scrape session in this state cannot be paused, resumed, cancelled or run."""

    hint = "Collect the same anew: chronolake collect"


class CollectStopped(SourceError):
    """Whoever asked for it stopped it; what was stored stays."""

    retry = Retry.LATER
    hint = "Run the same command again: it goes on where it stood."


class ExtractError(ChronolakeError):
    """Payloads could not be read."""


class ExtractorMissing(ExtractError):
    """A library or model that was asked for is not installed."""

    retry = Retry.OPERATOR


class WorkersBroken(ExtractError):
    """The processes that read payloads end before they have begun."""

    retry = Retry.OPERATOR
    hint = "If memory is short, lower CHRONOLAKE_EXTRACT_WORKERS; else install chronolake anew."


class NoPage(ExtractError):
    """A payload gives no page; the fact `kind` says why, in the words of FailureKind."""


class ProjectUnknown(ExtractError):
    """There is no project of that name, whose captures could become pages."""

    hint = "Put captures into it first: chronolake ingest, or chronolake collect."


class JobError(ChronolakeError):
    """Work that was queued could not be done."""


class WorkerLost(JobError):
    """The process that ran a job is gone; another takes the job up."""

    retry = Retry.LATER
    hint = "See what ended the worker: its log, and the system's for want of memory. Then resume what failed."


class ScheduleInvalid(JobError):
    """How often something is to be done is neither a duration nor cron."""


class ScheduleUnknown(JobError):
    """There is no schedule of that number."""

    hint = "See which there are: chronolake schedules"


class ExportUnknown(JobError):
    """There is no export of that id."""

    hint = "Old exports are removed (CHRONOLAKE_EXPORT_HOURS): ask for it anew."


class ExportUnready(JobError):
    """The export is not done, so that it has no file."""

    retry = Retry.LATER
    hint = "Ask for its state until it is done."


class ExportGone(JobError):
    """The file of an export is not there."""

    retry = Retry.OPERATOR
    hint = "Ask for it anew; a worker that writes exports must have the home of the server (CHRONOLAKE_HOME)."


class ExportStopped(JobError):
    """An export was stopped; nothing is left of it."""

    retry = Retry.LATER


class OutputError(ChronolakeError):
    """A file that was asked for cannot be written."""

    retry = Retry.OPERATOR


class DatabaseError(ChronolakeError):
    """PostgreSQL could not do what was asked."""


class DatabaseUnavailable(DatabaseError):
    """PostgreSQL cannot be reached, or the connection broke."""

    retry = Retry.LATER
    hint = (
        "Check that the server of DATABASE_URL runs. Without one, it is the embedded server: what ended it, a full"
        " disk it may be, stands in postgres.log in CHRONOLAKE_HOME."
    )


class DatabaseConflict(DatabaseError):
    """Another transaction was in the way, as in a deadlock; the same again will do."""

    retry = Retry.LATER
    hint = "Run the same command again."


class DatabaseMisconfigured(DatabaseError):
    """PostgreSQL is too old, lacks `wal_level = logical`, or a right is missing."""

    retry = Retry.OPERATOR


class MigrationFailed(DatabaseError):
    """The schema could not be brought up to date; nothing of the failed step was kept."""

    retry = Retry.OPERATOR


class LakeError(ChronolakeError):
    """The lake could not do what was asked."""


class LakeIncomplete(LakeError):
    """The lake lacks captures and does not know how many."""

    retry = Retry.LATER
    hint = "Ask with engine auto or postgres."


class LakeBehind(LakeError):
    """The lake is older than the question allows."""

    retry = Retry.LATER
    hint = "Ask with engine auto, or see how far the lake is: chronolake sync status"


class LakeUnavailable(LakeError):
    """The lake's catalog or files are out of reach."""

    retry = Retry.LATER
    hint = "Check the lake: chronolake lake info"


class LakeMissing(LakeUnavailable):
    """The database has no lake yet, and who only reads makes none."""

    retry = Retry.OPERATOR
    hint = "Put something in: chronolake ingest makes the lake, and so does chronolake serve."


class LakeBusy(LakeError):
    """Another process is committing to the lake and did not finish in time."""

    retry = Retry.LATER
    hint = "Wait for the other ingest to end; nothing was lost, its batches are in the ledger."


class SnapshotExpired(LakeError):
    """The lake does not reach back so far."""

    hint = "Ask for a later time; CHRONOLAKE_LAKE_RETENTION says for how long states are kept."


class SchemaMismatch(LakeError):
    """Rows do not have the columns that the registry declares."""


class StorageFull(LakeError):
    """The disk has no room for what was to be written."""

    retry = Retry.OPERATOR
    hint = "Free room, then run the same command again: what was stored is not stored twice."


class SyncError(ChronolakeError):
    """The stream of changes could not be carried from PostgreSQL to the lake."""


class DecodeError(SyncError):
    """Bytes are no message of `pgoutput`, or not of the relation and types they are read as."""

    retry = Retry.OPERATOR
    hint = (
        "The stream cannot be trusted from here on: check the versions of both ends, then fill the lake anew."
    )


class ValueUnrepresentable(SyncError):
    """A row of PostgreSQL holds a value that the lake's type cannot, as the timestamp `infinity`."""

    retry = Retry.OPERATOR
    hint = "Give these rows another value in PostgreSQL."


class TableNotParked(SyncError):
    """A table was to be followed again that is not parked, or that nobody knows."""

    hint = "See which are parked: chronolake sync status"


class QueryError(ChronolakeError):
    """A question or an SQL text could not be answered."""


class QuestionUnknown(QueryError):
    """There is no question of that name."""

    hint = "List the questions: chronolake ask --list"


class ParameterInvalid(QueryError):
    """A parameter is missing, unknown or out of its bounds."""


class SqlRefused(QueryError):
    """The SQL text is not one SELECT over tables that are known."""

    hint = "Write one SELECT over the lake's tables: chronolake lake info lists them."


class QueryTimeout(QueryError):
    """The query was stopped at its deadline."""

    retry = Retry.LATER
    hint = "Narrow the question, or raise CHRONOLAKE_QUERY_TIMEOUT_S."


class EngineUnavailable(QueryError):
    """No engine can answer this question now."""

    retry = Retry.LATER
