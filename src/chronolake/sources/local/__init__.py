"""Captures from files: any format that the field writes, told by content, in bounded memory."""

from chronolake.sources.local.detect import Format, detect
from chronolake.sources.local.inputs import InputFile, expand
from chronolake.sources.local.links import Link, link_of
from chronolake.sources.local.raw import name_of, text_of
from chronolake.sources.local.read import read_captures, read_stream

__all__ = [
    "Format",
    "InputFile",
    "Link",
    "detect",
    "expand",
    "link_of",
    "name_of",
    "read_captures",
    "read_stream",
    "text_of",
]
