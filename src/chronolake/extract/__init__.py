"""Extraction: from what an archive kept of a page to its text, language, quality and entities."""

from chronolake.extract.page import (
    ExtractedPage,
    Failure,
    FailureKind,
    FoundEntity,
    QualityReason,
)

__all__ = ["ExtractedPage", "Failure", "FailureKind", "FoundEntity", "QualityReason"]
