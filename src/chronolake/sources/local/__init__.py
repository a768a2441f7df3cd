"""Captures from files: any format that the field writes, told by content, in bounded memory."""

from chronolake.sources.local.inputs import InputFile, expand
from chronolake.sources.local.raw import name_of
from chronolake.sources.local.read import read_captures

__all__ = ["InputFile", "expand", "name_of", "read_captures"]
