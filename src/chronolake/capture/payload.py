"""What an archive kept of one answer, as it is handed from who fetches it to who reads it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Payload:
    """What an archive kept of one answer: the body as the server meant it, transfer and content coding undone."""

    #: the capture whose content it is
    capture_id: UUID
    url: str
    #: UTC, without a zone
    captured_at: datetime
    body: bytes
    #: media type and charset as the server sent them; null where it sent none
    mime_sent: str | None = None
    charset_sent: str | None = None
    #: the archive kept only a part of the body
    truncated: bool = False
