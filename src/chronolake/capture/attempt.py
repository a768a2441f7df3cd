"""How a request to an archive can go. The words stand in PostgreSQL, the lake and metrics, so they never change."""

from enum import StrEnum


class Outcome(StrEnum):
    """How one request went. Only `OK` and `EMPTY` are answers to what was asked; all others are failures.

    An archive that cannot be reached is never `EMPTY`: only an archive that answered can say it has nothing.
    """

    OK = "ok"  #: an answer with at least one capture, or the record that was asked for
    EMPTY = "empty"  #: a whole answer which says that there is nothing
    NOT_FOUND = "not_found"  #: the archive does not hold the record that was asked for
    THROTTLED = "throttled"  #: asked to slow down: 429, or 503 with Retry-After
    BLOCKED = "blocked"  #: not for us: 401, 403, 451, excluded by robots or owner
    CLIENT_ERROR = "client_error"  #: the request itself is at fault: any other 4xx
    SERVER_ERROR = "server_error"  #: the archive failed: 5xx
    TIMEOUT = "timeout"  #: the deadline passed
    UNREACHABLE = "unreachable"  #: no connection: name, network, TLS
    MALFORMED = "malformed"  #: an answer that cannot be read as what was asked for
    TRUNCATED = "truncated"  #: the answer broke off
    CANCELLED = "cancelled"  #: given up by us before an answer came
    NOT_SENT = "not_sent"  #: held back, as the archive had failed too often
