"""Lines of CSV from record batches, column by column and never row by row: Arrow in, bytes out. Pure.

Each batch becomes texts of columns, which are glued in one go. Neighbouring columns of few different values are glued
once for each combination that occurs, so that a row of thirty columns takes a dozen copies and not sixty.
The bytes are those of DuckDB's COPY with `FORCE_QUOTE` for the columns that are always quoted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]

#: Combinations of neighbouring columns that are counted before those that occur are looked for: what fits in a cache.
_MOST_COMBINED = 1 << 16
#: Rows that are glued at a time, so that their text is still in the processor's cache when it is written.
_GLUED_ROWS = 8192


@dataclass(frozen=True)
class _Digit:
    """The part of a code that is one column's: `texts[code // step % len(texts)]`."""

    texts: pa.StringArray
    step: int


@dataclass(frozen=True)
class Coded:
    """A text for each row by its code, from 0 to `size` - 1. The parts of the text are the code's, or fixed."""

    codes: Codes
    size: int
    parts: tuple[_Digit | str, ...]

    @classmethod
    def of(cls, codes: Codes, texts: pa.StringArray) -> "Coded":
        """Row by row the text of its code; no text is null."""
        return cls(codes, len(texts), (_Digit(texts, 1),))


#: Of each row the same text, a text of its own (null is nothing), or one of few.
Piece: TypeAlias = str | pa.StringArray | Coded


@dataclass(frozen=True)
class _Few:
    """A text for each row by its code, put together."""

    codes: Codes
    texts: pa.StringArray


_Settled: TypeAlias = str | pa.StringArray | _Few


def lines(columns: Iterable[Sequence[Piece]], rows: int) -> Iterator[pa.Buffer]:
    """The lines of `rows` rows, a buffer for some thousands of them. Of each column there are the pieces of its fields.

    Raises:
        pa.ArrowCapacityError: a row has more text than 2 GB.
    """
    pieces: list[Piece] = []
    for column in columns:
        pieces += [",", *column] if pieces else column
    merged = reduce(_with, [*pieces, "\n"], list[Piece]())
    settled = [_settled(piece) if isinstance(piece, Coded) else piece for piece in merged]
    for start in range(0, rows, _GLUED_ROWS):
        yield from _glued(settled, start, min(_GLUED_ROWS, rows - start))


def dense(codes: Codes, size: int) -> tuple[Codes, npt.NDArray[np.intp]]:
    """`codes` counted anew without those that do not occur, and which of the `size` old ones do."""
    seen = np.zeros(size, np.bool_)
    seen[codes] = True
    used = np.flatnonzero(seen)
    if len(used) == size:
        return codes, used
    again = np.empty(size, np.int32)
    again[used] = np.arange(len(used), dtype=np.int32)
    return again[codes], used


def _glued(pieces: Sequence[_Settled], start: int, rows: int) -> Iterator[pa.Buffer]:
    try:
        arrays = [_spread(piece, start, rows) for piece in pieces]
        text = pc.binary_join_element_wise(*arrays, "", null_handling="replace", null_replacement="")
    except pa.ArrowCapacityError:
        # More than 2 GB of text. What one row has, its file could not have held were it so long.
        if rows == 1:
            raise
        yield from _glued(pieces, start, rows // 2)
        yield from _glued(pieces, start + rows // 2, rows - rows // 2)
        return
    if isinstance(text, pa.Scalar):
        # Not one column had a row's own text.
        yield pa.py_buffer(text.as_py().encode() * rows)
    else:
        # What was made now begins at its buffer's begin, and each line ends itself.
        _, offsets, data = text.buffers()
        yield data.slice(0, int(np.frombuffer(offsets, np.int32)[rows]))


def _spread(piece: _Settled, start: int, rows: int) -> pa.StringArray | str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, _Few):
        codes = pa.array(piece.codes[start : start + rows])
        return pa.DictionaryArray.from_arrays(codes, piece.texts).cast(pa.string())
    return piece.slice(start, rows)


def _with(merged: list[Piece], piece: Piece) -> list[Piece]:
    """`merged` and then `piece`, as one with the last where that can be."""
    if merged and (one := _merged(merged[-1], piece)) is not None:
        merged[-1] = one
    else:
        merged.append(piece)
    return merged


def _merged(left: Piece, right: Piece) -> Piece | None:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, Coded) and isinstance(right, str):
        return replace(left, parts=(*left.parts, right))
    if isinstance(left, str) and isinstance(right, Coded):
        return replace(right, parts=(left, *right.parts))
    if isinstance(left, Coded) and isinstance(right, Coded):
        return _combined(left, right)
    return None


def _combined(left: Coded, right: Coded) -> Coded | None:
    if left.size == right.size and np.array_equal(left.codes, right.codes):
        # As of a domain and its registered domain.
        return replace(left, parts=left.parts + right.parts)
    if left.size * right.size > _MOST_COMBINED:
        few = _settled(left)
        left = Coded.of(few.codes, few.texts)
    if left.size * right.size > _MOST_COMBINED:
        return None
    raised = tuple(
        part if isinstance(part, str) else replace(part, step=part.step * right.size) for part in left.parts
    )
    codes = left.codes * np.int32(right.size) + right.codes
    return Coded(codes, left.size * right.size, raised + right.parts)


def _settled(piece: Coded) -> _Few:
    """With a text for each code that occurs, and for no other."""
    codes, used = dense(piece.codes, piece.size)
    texts = [
        part if isinstance(part, str) else part.texts.take(pa.array(used // part.step % len(part.texts)))
        for part in piece.parts
    ]
    return _Few(codes, pc.binary_join_element_wise(*texts, ""))
