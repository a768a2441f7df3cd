"""Turn one column of many tuples, cells scattered over one buffer, into one Arrow array.

Fixed widths are gathered by numpy, texts copied by Arrow; Python touches single values only of types that the lake
holds as text, and of texts which Arrow's own casts cannot read.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chronolake.errors import DecodeError
from chronolake.sync import wire_text
from chronolake.sync.cells import BINARY, TEXT, Cells, Mask, Words, refuse
from chronolake.sync.texts import Column, nulls_of, read_texts

#: Which cells have a value of the kind at hand; None: all of them.
Valid = Mask | None

# From 1970-01-01 to 2000-01-01, where PostgreSQL's time begins.
_EPOCH_DAYS = 10_957
_EPOCH_US = _EPOCH_DAYS * 86_400_000_000
_INT64 = np.iinfo(np.int64)
_INT32 = np.iinfo(np.int32)


def read_column(cells: Cells, type_oid: int, wanted: pa.DataType) -> Column:
    """Read the values of a PostgreSQL type as an Arrow type; cells without value are null.

    Raises:
        DecodeError: a cell is no value of its type, or there is no way from that type to the wanted one.
    """
    if cells.uniform == BINARY:
        return _from_binary(cells, None, type_oid, wanted)
    if cells.uniform == TEXT:
        return read_texts(_texts(cells, None), wanted)
    binary, text = cells.of(BINARY), cells.of(TEXT)
    if not text.any():
        if not binary.any():
            return pa.nulls(len(cells), wanted), None
        return _from_binary(cells, binary, type_oid, wanted)
    column = read_texts(_texts(cells, text), wanted)
    if not binary.any():
        return column
    # A type's way of sending never changes within a stream in practice; nothing in the protocol forbids it.
    return _merge(column, _from_binary(cells, binary, type_oid, wanted), binary)


def _merge(text: Column, binary: Column, is_binary: Mask) -> Column:
    count = len(is_binary)
    indices = np.arange(count) + np.where(is_binary, count, 0)
    merged = pa.chunked_array([text[0], binary[0]]).take(pa.array(indices)).combine_chunks()
    none = np.zeros(count, np.bool_)
    return merged, (none if text[1] is None else text[1]) | (none if binary[1] is None else binary[1])


def _from_binary(cells: Cells, valid: Valid, type_oid: int, wanted: pa.DataType) -> Column:
    if pa.types.is_string(wanted) and type_oid in wire_text.PLAIN_TEXT:
        return _texts(cells, valid)
    if pa.types.is_string(wanted) and type_oid == wire_text.JSONB:
        return _jsonb_texts(cells, valid)
    if type_oid in _BINARY and not pa.types.is_string(wanted):
        read, natural = _BINARY[type_oid]
        return _fit(read(cells, valid), natural, wanted)
    return read_texts(_rendered(cells, valid, type_oid), wanted)


# Binary, by numpy.


def _bitmap(valid: Valid) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _array(kind: pa.DataType, values: npt.NDArray[Any], cells: Cells, valid: Valid) -> pa.Array:
    return pa.Array.from_buffers(kind, len(cells), [_bitmap(valid), pa.py_buffer(values)])


def _among(valid: Valid, mask: Mask) -> Mask:
    return mask if valid is None else mask & valid


def _fixed(cells: Cells, valid: Valid, width: int) -> Words:
    """The values' bytes at the upper end of a word; all must have this width."""
    refuse(_among(valid, cells.lengths != width), f"a value is not {width} bytes long")
    return cells.buffer.words(cells.starts)


def _bools(cells: Cells, valid: Valid) -> Column:
    bits = np.packbits(_fixed(cells, valid, 1) >> 56 != 0, bitorder="little")
    return _array(pa.bool_(), bits, cells, valid), None


def _ints(width: int, kind: pa.DataType) -> "Reader":
    def read(cells: Cells, valid: Valid) -> Column:
        # An arithmetic shift keeps the sign.
        numbers = _fixed(cells, valid, width).view(np.int64) >> (64 - 8 * width)
        return _array(kind, numbers.astype(kind.to_pandas_dtype()), cells, valid), None

    return read


def _oids(cells: Cells, valid: Valid) -> Column:
    return _array(pa.int64(), (_fixed(cells, valid, 4) >> 32).view(np.int64), cells, valid), None


def _floats(cells: Cells, valid: Valid) -> Column:
    return _array(pa.float32(), (_fixed(cells, valid, 4) >> 32).astype(np.uint32), cells, valid), None


def _doubles(cells: Cells, valid: Valid) -> Column:
    return _array(pa.float64(), _fixed(cells, valid, 8), cells, valid), None


def _timestamps(cells: Cells, valid: Valid) -> Column:
    microseconds = _fixed(cells, valid, 8).view(np.int64)
    # The ends of the range are the infinities, PostgreSQL's here and DuckDB's after the shift.
    bad = _among(valid, (microseconds == _INT64.min) | (microseconds >= _INT64.max - _EPOCH_US))
    return _checked(pa.timestamp("us"), np.where(bad, 0, microseconds) + _EPOCH_US, cells, valid, bad)


def _dates(cells: Cells, valid: Valid) -> Column:
    days = _fixed(cells, valid, 4).view(np.int64) >> 32
    bad = _among(valid, (days == _INT32.min) | (days >= _INT32.max - _EPOCH_DAYS))
    return _checked(pa.date32(), (np.where(bad, 0, days) + _EPOCH_DAYS).astype(np.int32), cells, valid, bad)


def _checked(kind: pa.DataType, values: npt.NDArray[Any], cells: Cells, valid: Valid, bad: Mask) -> Column:
    if not np.count_nonzero(bad):
        return _array(kind, values, cells, valid), None
    return _array(kind, values, cells, _among(valid, ~bad)), bad


def _uuids(cells: Cells, valid: Valid) -> Column:
    halves = np.empty((len(cells), 2), ">u8")
    halves[:, 0] = _fixed(cells, valid, 16)
    halves[:, 1] = cells.buffer.words(cells.starts + 8)
    return pa.ExtensionArray.from_storage(pa.uuid(), _array(pa.binary(16), halves, cells, valid)), None


def _blobs(cells: Cells, valid: Valid) -> Column:
    # The cells lie in the buffer in order, so that value, gap, value, gap ... is one Arrow array; taking every
    # second one copies the values alone.
    count = len(cells)
    offsets = np.empty(2 * count, np.int32)
    offsets[0::2] = cells.starts
    lengths = cells.lengths if valid is None else cells.lengths * valid
    np.add(cells.starts, lengths, out=offsets[1::2], casting="unsafe")
    some = None
    if valid is not None:
        some = np.ones(2 * count - 1, np.bool_)
        some[0::2] = valid
    buffers = [_bitmap(some), pa.py_buffer(offsets), pa.py_buffer(cells.buffer.bytes)]
    both = pa.Array.from_buffers(pa.binary(), 2 * count - 1, buffers)
    return both.take(_every_second(count)), None


@lru_cache(maxsize=4)
def _every_second(count: int) -> pa.Array:
    return pa.array(np.arange(0, 2 * count, 2))


def _texts(cells: Cells, valid: Valid) -> Column:
    blobs, _ = _blobs(cells, valid)
    if _is_ascii(blobs):
        # Arrow's cast checks each text for itself, which costs more than all the rest.
        return pa.Array.from_buffers(pa.string(), len(blobs), blobs.buffers()), None
    try:
        return blobs.cast(pa.string()), None
    except pa.ArrowInvalid:
        # Only a database in another encoding than UTF-8 can send such a text; it has no place in the lake.
        texts = [_utf8(blob) for blob in blobs.to_pylist()]
        column = pa.array(texts, pa.string())
        return column, _among(valid, nulls_of(column))


def _is_ascii(blobs: pa.Array) -> bool:
    data = blobs.buffers()[2]
    return not data or bool(np.frombuffer(data, np.uint8).max() < 128)


def _utf8(blob: bytes | None) -> str | None:
    try:
        return None if blob is None else blob.decode()
    except UnicodeDecodeError:
        return None


def _jsonb_texts(cells: Cells, valid: Valid) -> Column:
    # One byte of version comes first, and there is but one version yet.
    versions = cells.buffer.words(cells.starts) >> 56
    refuse(_among(valid, (cells.lengths < 1) | (versions != 1)), "a value's version of jsonb is unknown")
    return _texts(replace(cells, starts=cells.starts + 1, lengths=cells.lengths - 1), valid)


def _rendered(cells: Cells, valid: Valid, type_oid: int) -> Column:
    if not wire_text.can_render(type_oid):
        raise DecodeError(
            f"the binary form of type {type_oid} is unknown",
            hint="Name the built-in type that has the same binary form, or ask for text: option binary 'false'.",
            type_oid=type_oid,
        )
    texts: list[str | None] = [None] * len(cells)
    for row in range(len(cells)) if valid is None else np.flatnonzero(valid):
        try:
            texts[row] = wire_text.render(type_oid, cells.value(int(row)))
        except ValueError as error:
            raise DecodeError(str(error), row=int(row)) from error
    return pa.array(texts, pa.string()), None


Reader = Callable[[Cells, Valid], Column]

# PostgreSQL's type: what reads its binary form, and the Arrow type that this gives.
_BINARY: dict[int, tuple[Reader, pa.DataType]] = {
    16: (_bools, pa.bool_()),
    17: (_blobs, pa.binary()),
    20: (_ints(8, pa.int64()), pa.int64()),
    21: (_ints(2, pa.int16()), pa.int16()),
    23: (_ints(4, pa.int32()), pa.int32()),
    26: (_oids, pa.int64()),
    700: (_floats, pa.float32()),
    701: (_doubles, pa.float64()),
    1082: (_dates, pa.date32()),
    1114: (_timestamps, pa.timestamp("us")),
    1184: (_timestamps, pa.timestamp("us")),
    2950: (_uuids, pa.uuid()),
}


# From the type that came to the type that is wanted.


def _fit(column: Column, natural: pa.DataType, wanted: pa.DataType) -> Column:
    array, bad = column
    if natural == wanted:
        return column
    if pa.types.is_integer(natural) and pa.types.is_integer(wanted):
        return _narrow(array, wanted)
    if pa.types.is_timestamp(natural) and pa.types.is_timestamp(wanted) and wanted.unit == natural.unit:
        # Both count from 1970 in UTC.
        return array.view(wanted), bad
    if (natural, wanted) in _WIDENING:
        return array.cast(wanted), bad
    raise DecodeError(f"there is no way from {natural} to {wanted}", natural=str(natural), wanted=str(wanted))


# Every value of the first type is one of the second.
_WIDENING = {
    (pa.float32(), pa.float64()),
    (pa.int16(), pa.float32()),
    (pa.int16(), pa.float64()),
    (pa.int32(), pa.float64()),
}


def _narrow(array: pa.Array, wanted: pa.DataType) -> Column:
    try:
        return array.cast(wanted), None
    except pa.ArrowInvalid:
        bounds = np.iinfo(wanted.to_pandas_dtype())
        numbers = array.fill_null(0).to_numpy(zero_copy_only=False)
        bad = (numbers < bounds.min) | (numbers > bounds.max)
        return pa.array(numbers.astype(bounds.dtype), wanted, mask=bad | nulls_of(array)), bad
