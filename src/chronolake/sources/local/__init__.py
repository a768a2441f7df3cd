"""Captures from files: any format that the field writes, told by content, in bounded memory."""

from chronolake.sources.local.detect import Format, detect
from chronolake.sources.local.inputs import InputFile, expand
from chronolake.sources.local.links import Link, link_of
from chronolake.sources.local.raw import name_of, text_of
from chronolake.sources.local.read import count_records, read_captures, read_stream
from chronolake.sources.local.tally import Remark, Tally

__all__ = [
    "Format",
    "InputFile",
    "Link",
    "Remark",
    "Tally",
    "count_records",
    "detect",
    "expand",
    "link_of",
    "name_of",
    "read_captures",
    "read_stream",
    "text_of",
]
