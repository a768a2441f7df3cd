"""Exports: captures or the answer of any question, written to a file or a folder as they are computed."""

from chronolake.query.export.captures import NAME, CapturesFilter
from chronolake.query.export.formats import Format
from chronolake.query.export.run import Exported, Exporter, Progress, checked

__all__ = ["NAME", "CapturesFilter", "Exported", "Exporter", "Format", "Progress", "checked"]
