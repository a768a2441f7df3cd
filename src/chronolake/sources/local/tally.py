"""What a WARC or ARC file was found to hold: its records by type, and what is odd about how they lie. Pure.

Readers of such files differ in what they forgive. Each remark is a place at which some of them stop, skip or glue
records, so that where two readers count differently the reason is told and not guessed.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Remark(StrEnum):
    """What is odd about a record, and was read all the same where it could be."""

    LF_HEADER = "lf_header"  #: the lines of its header end in LF alone
    SOUGHT = "sought"  #: it was looked for: it does not begin where the one before it says that it ends
    UNSEPARATED = "unseparated"  #: no line end stands between it and the one before
    SHARED_MEMBER = "shared_member"  #: it begins within the gzip member of another
    NO_TYPE = "no_type"  #: its header names no type
    NO_LENGTH = "no_length"  #: its header names no length, so that its end was looked for
    CUT_HEADER = "cut_header"  #: its header has no end
    CUT_BLOCK = "cut_block"  #: the file ends before its block does
    BLOCK_LONGER = "block_longer"  #: its block goes on behind the end that its length says
    JUNK = "junk"  #: no record, but bytes where one should begin


@dataclass
class Tally:
    """Records by type, those that hold no capture among them; a remark counts once for each record.

    The types are WARC's words; of ARC `filedesc`, `dns` and `response`.
    """

    types: Counter[str] = field(default_factory=Counter)
    remarks: Counter[Remark] = field(default_factory=Counter)
    #: whether the records are ARC's
    arc: bool = False
