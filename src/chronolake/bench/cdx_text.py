"""Generated captures as CDX text of 11 columns, damaged lines and all; equal chunks are equal bytes."""

import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench.captures import Chunk, Damage
from chronolake.bench.texts import digits, strings, texts_of
from chronolake.bench.world import World

#: The legend of CDX with 11 columns.
HEADER = b" CDX N b a m s k r M S V g\n"
#: Level 1: the sample is read once, so time counts for more than size.
_LEVEL = 1
#: Tells zlib to write a gzip member.
_GZIP_WINDOW = 31
_GARBAGE_BYTES = 60


def lines_of(chunk: Chunk, world: World, seed: int) -> bytes:
    """The lines of `chunk`, each with its line feed."""
    texts = texts_of(chunk, world, seed)
    status = pa.array(chunk.status, mask=chunk.revisit).cast(pa.string())
    fields = (
        texts.key,
        strings(digits(chunk.seconds)),
        texts.url,
        texts.mime,
        status,
        texts.digest,
        texts.redirect,
        pa.scalar("-"),
        pa.array(chunk.length).cast(pa.string()),
        pa.array(chunk.offset).cast(pa.string()),
        _glued(texts.warc, pa.scalar("\n")),
    )
    lines = pc.binary_join_element_wise(*fields, " ", null_handling="replace", null_replacement="-")
    if chunk.damaged.size:
        lines = lines.cast(pa.binary())
        mask = np.zeros(len(chunk), dtype=bool)
        mask[chunk.damaged] = True
        whole: Sequence[bytes] = lines.take(pa.array(chunk.damaged)).to_pylist()
        broken = [_damaged(line, Damage(what)) for line, what in zip(whole, chunk.damage, strict=True)]
        lines = pc.replace_with_mask(lines, pa.array(mask), pa.array(broken, pa.binary()))
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)
    return memoryview(data)[bounds[lines.offset] : bounds[lines.offset + len(lines)]].tobytes()


def compressed(text: bytes) -> bytes:
    """The text as one gzip member, which names no time and no file."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(text) + packer.flush()


def _glued(*parts: pa.Array | pa.Scalar) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")


def _damaged(line: bytes, what: Damage) -> bytes:
    key, stamp, url, rest = line.split(b" ", 3)
    match what:
        case Damage.INSERTED_ZEROS:
            stamp = stamp[:4] + b"00" + stamp[4:12]
        case Damage.WRONG_HOUR:
            stamp = stamp[:8] + b"40" + stamp[10:]
        case Damage.NO_DATE:
            stamp = stamp[:4] + b"1345" + stamp[8:]
        case Damage.FEW_FIELDS:
            return b" ".join((key, stamp, url)) + b"\n"
        case Damage.BROKEN_BYTES:
            # No line feed, space or ASCII among them: what a bad disk leaves of a line.
            return bytes(128 + byte % 128 for byte in line[:_GARBAGE_BYTES]) + b"\n"
        case Damage.NOT_UTF8:
            key, url = _latin1(key), _latin1(url)
    return b" ".join((key, stamp, url, rest))


def _latin1(text: bytes) -> bytes:
    return text + (b"&" if b"?" in text else b"?") + b"t=caf\xe9"
