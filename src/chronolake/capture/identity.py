"""Name captures so that the same capture always gets the same name, and names sort by time.

A UUID of version 8 (RFC 9562): 48 bits of milliseconds since 1970, then 74 bits of a hash of what makes the
capture itself. `scalar` says the rule for one capture; `column` applies it to a table, with equal answers.
"""

import uuid
from collections.abc import Mapping
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: What every identity has.
ALWAYS = ("archive_source", "url_key", "timestamp", "digest")
#: What joins it where the record's place in a WARC is known: the place names the record.
PLACE = ("warc_filename", "warc_record_offset")
#: What joins it where the place is not known.
ANSWER = ("url", "status_code", "mime_type", "content_length")

# No text holds NUL: PostgreSQL could not store it, so the normaliser has percent-encoded it.
_SEPARATOR = "\0"
_HASH_BYTES = 16
#: Captures before 1970 sort as if of its first millisecond, since the 48 bits have no sign.
_EARLIEST_MS = 0
_LATEST_MS = 2**48 - 1


def scalar(project_id: int, capture: Mapping[str, str | int | None]) -> uuid.UUID:
    """The id of one capture; `capture` has ALWAYS, PLACE and ANSWER, `timestamp` in microseconds since 1970.

    Texts must not hold NUL nor be empty: where nothing is known stands None.
    """
    placed = all(capture[name] is not None for name in PLACE)
    names = (*ALWAYS, *(PLACE if placed else ANSWER))
    # Both forms have a leading field of their own, so no capture of one can pass for one of the other.
    parts = ["p" if placed else "a", str(project_id), *(_text(capture[name]) for name in names)]
    hashed = bytearray(blake2b(_SEPARATOR.join(parts).encode(), digest_size=_HASH_BYTES).digest())
    micros = capture["timestamp"]
    if not isinstance(micros, int):
        raise TypeError("timestamp must be microseconds since 1970")
    hashed[0:6] = min(max(micros // 1000, _EARLIEST_MS), _LATEST_MS).to_bytes(6, "big")
    hashed[6] = 0x80 | hashed[6] & 0x0F
    hashed[8] = 0x80 | hashed[8] & 0x3F
    return uuid.UUID(bytes=bytes(hashed))


def _text(value: str | int | None) -> str:
    return "" if value is None else str(value)


def column(project_id: int, captures: pa.Table) -> pa.Array:
    """The ids of captures in the declared columns: a UUID array, one per row."""
    count = captures.num_rows
    micros = _array(captures, "timestamp").view(pa.int64())
    placed = pc.and_(*(pc.is_valid(_array(captures, name)) for name in PLACE))
    always = [micros if name == "timestamp" else _array(captures, name) for name in ALWAYS]
    if pc.all(placed).as_py():
        joined = _join("p", project_id, always, [_array(captures, name) for name in PLACE])
    elif not pc.any(placed).as_py():
        joined = _join("a", project_id, always, [_array(captures, name) for name in ANSWER])
    else:
        joined = pc.if_else(
            placed,
            _join("p", project_id, always, [_array(captures, name) for name in PLACE]),
            _join("a", project_id, always, [_array(captures, name) for name in ANSWER]),
        )
    ids = np.frombuffer(_hash(joined), dtype=np.uint8).reshape(count, 16).copy()
    ms = np.clip(micros.to_numpy(zero_copy_only=False) // 1000, _EARLIEST_MS, _LATEST_MS).astype(">u8")
    ids[:, 0:6] = ms.view(np.uint8).reshape(count, 8)[:, 2:8]
    ids[:, 6] = 0x80 | ids[:, 6] & 0x0F
    ids[:, 8] = 0x80 | ids[:, 8] & 0x3F
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(ids.tobytes())])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _array(captures: pa.Table, name: str) -> pa.Array:
    chunks = captures[name]
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def _join(form: str, project_id: int, always: list[pa.Array], others: list[pa.Array]) -> pa.LargeBinaryArray:
    columns = [array.cast(pa.large_string()) for array in (*always, *others)]
    head = pa.scalar(f"{form}{_SEPARATOR}{project_id}", pa.large_string())
    return pc.binary_join_element_wise(
        head, *columns, pa.scalar(_SEPARATOR, pa.large_string()), null_handling="replace", null_replacement=""
    )


def _hash(texts: pa.LargeBinaryArray) -> bytes:
    """The hashes of all texts on end. The one loop over rows: Arrow has no hash that outlives a release."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    content = data.to_pybytes() if data is not None else b""
    return b"".join(
        [blake2b(content[start:end], digest_size=_HASH_BYTES).digest() for start, end in pairwise(bounds)]
    )
