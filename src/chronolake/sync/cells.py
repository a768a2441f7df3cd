"""The cells of one column in many tuples: where each lies in one buffer of messages, and what kind it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chronolake.errors import DecodeError

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.uint8]

#: The kinds of a cell.
NULL, UNCHANGED, TEXT, BINARY = b"nutb"


class Buffer:
    """Messages one after the other, of which eight bytes can be read at once from any place."""

    # A null at the very end is said to start five bytes behind it, and 16 are read where a UUID could be.
    PADDING = 32

    def __init__(self, messages: Sequence[bytes]) -> None:
        self.bytes = np.frombuffer(b"".join([*messages, bytes(self.PADDING)]), np.uint8)
        # One big-endian word starts at each byte: a strided view, nothing is copied.
        self._words = np.ndarray((len(self.bytes) - 7,), ">u8", self.bytes, 0, (1,))

    def words(self, at: Ints) -> Words:
        """The eight bytes from each place on, as a number."""
        return self._words[at].astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Cells:
    """One column's cells, in order: kind, first byte of the value, and length (0 for a cell without value).

    `uniform` is the one kind that all of them are of, if so.
    """

    buffer: Buffer
    kinds: Kinds
    uniform: int | None
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.kinds)

    def of(self, kind: int) -> Mask:
        """Which cells are of this kind."""
        found: Mask = self.kinds == kind
        return found

    def value(self, row: int) -> bytes:
        """One cell's bytes."""
        start = self.starts[row]
        return self.buffer.bytes[start : start + self.lengths[row]].tobytes()


def refuse(wrong: Mask, why: str) -> None:
    """Refuse the first row that is wrong.

    Raises:
        DecodeError: there is one; `facts` name it.
    """
    # On few rows much quicker than `any`, and no slower on many.
    if np.count_nonzero(wrong):
        raise DecodeError(why, row=int(wrong.argmax()))
