"""A capture that may become a page, with what there is to know of where its payload lies."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Candidate:
    """One capture on its way to a page; the fields are columns of `cdx_records`."""

    id: UUID
    project_id: int
    archive_source: str
    url: str
    url_key: str
    domain: str
    #: UTC, without a zone
    timestamp: datetime
    record_type: str = "response"
    status_code: int | None = None
    mime_type: str | None = None
    mime_detected: str | None = None
    charset: str | None = None
    content_length: int | None = None
    digest: str | None = None
    digest_algorithm: str | None = None
    truncated: str | None = None
    warc_filename: str | None = None
    warc_record_offset: int | None = None
    crawl: str | None = None
    #: whether a decision against it stands, which is to be overridden
    decided: bool = False

    @property
    def fourteen(self) -> str:
        """Its instant as archives write it: 14 digits."""
        return f"{self.timestamp:%Y%m%d%H%M%S}"
