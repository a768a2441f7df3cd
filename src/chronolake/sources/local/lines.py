"""Blocks of whole lines, with their numbers, in bounded memory whatever the length of a line."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chronolake.sources.local.inputs import Source
from chronolake.sources.local.raw import RAW_KEPT

#: Bytes of a block: enough for vectorised work, few enough to hold several.
BLOCK_BYTES = 8 << 20
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class Block:
    """Whole lines, each with its newline save perhaps the file's last; `first` is the number of the first."""

    data: bytes
    first: int
    #: a line beyond the limit: `data` is its beginning only
    too_long: bool = False
    #: the last line was cut by damage to the file
    cut: bool = False


def blocks(source: Source, max_line_bytes: int) -> Iterator[Block]:
    """All lines of `source`, in order, numbered from 1."""
    number = 1
    held = bytearray()
    ended = False
    while not ended:
        data = source.read(BLOCK_BYTES)
        ended = not data
        held += data
        end = held.rfind(b"\n") + 1
        if end:
            yield from _bounded(bytes(held[:end]), number, max_line_bytes)
            number += held.count(b"\n", 0, end)
            del held[:end]
        if len(held) > max_line_bytes:
            yield Block(bytes(held[:RAW_KEPT]), number, too_long=True)
            number += 1
            held = _after_newline(source)
            # What follows the long line may be many lines, at the end of the file too.
            ended = False
    if held:
        yield Block(bytes(held), number, cut=source.damage is not None)


def _bounded(data: bytes, number: int, max_line_bytes: int) -> Iterator[Block]:
    """The lines as one block; where some are too long, these apart and the runs between them as blocks."""
    if len(data) <= max_line_bytes:
        yield Block(data, number)
        return
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE) + 1
    lengths = np.diff(ends, prepend=0) - 1
    run, first = 0, number
    for at in np.flatnonzero(lengths > max_line_bytes).tolist():
        end = int(ends[at])
        start = end - 1 - int(lengths[at])
        if run < start:
            yield Block(data[run:start], first)
        yield Block(data[start : min(end - 1, start + RAW_KEPT)], number + at, too_long=True)
        run, first = end, number + at + 1
    if run < len(data):
        yield Block(data[run:], first)


def _after_newline(source: Source) -> bytearray:
    """Skip to the end of the line, holding none of it; what follows it of the piece last read."""
    while data := source.read(BLOCK_BYTES):
        end = data.find(b"\n") + 1
        if end:
            return bytearray(data[end:])
    return bytearray()
