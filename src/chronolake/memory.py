"""Give memory that is free back to the system.

Allocators keep what they once had. Where large pieces of work follow each other, each with objects of other sizes, they
keep more with every piece: a worker that applied 1.4 million rows in pieces of 100 000 grew from 360 MB to 920 MB.
"""

import ctypes
from contextlib import suppress

import pyarrow as pa


def release() -> None:
    """Have Arrow's and the C library's allocator return what nobody uses; takes milliseconds."""
    pa.default_memory_pool().release_unused()
    # Only the GNU library has it.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
