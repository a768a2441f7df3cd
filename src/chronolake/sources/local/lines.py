"""Blocks of whole lines, with their numbers, in bounded memory whatever the length of a line."""

from collections.abc import Iterator
from dataclasses import dataclass

from chronolake.sources.local.inputs import Source
from chronolake.sources.local.raw import RAW_KEPT

#: Bytes of a block: enough for vectorised work, few enough to hold several.
BLOCK_BYTES = 8 << 20


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
    while data := source.read(BLOCK_BYTES):
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
    if held:
        yield Block(bytes(held), number, cut=source.damage is not None)


def _bounded(data: bytes, number: int, max_line_bytes: int) -> Iterator[Block]:
    """The block, or its lines apart where one of them is too long."""
    if len(data) <= max_line_bytes or max(map(len, data.splitlines())) <= max_line_bytes:
        yield Block(data, number)
        return
    for line in data.splitlines(keepends=True):
        too_long = len(line) > max_line_bytes
        yield Block(line[:RAW_KEPT] if too_long else line, number, too_long=too_long)
        number += 1


def _after_newline(source: Source) -> bytearray:
    """Skip to the end of the line, holding none of it; what follows it of the piece last read."""
    while data := source.read(BLOCK_BYTES):
        end = data.find(b"\n") + 1
        if end:
            return bytearray(data[end:])
    return bytearray()
