"""The texts of generated captures, built a column at a time; no row is touched by Python."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench.captures import EARLIEST, LATEST, Chunk
from chronolake.bench.world import HOST_PREFIXES, KINDS, ROOT, Ints, Words, World, mixed
from chronolake.capture.digest import EMPTY_BODY_SHA1

#: WARC files are named so, with seed and number: whoever meets one knows what it is.
WARC_NAME = "GENERATED-{seed}-"
REVISIT_MIME = "warc/revisit"
#: A page that is not there is told so in HTML, whatever it would have been.
ERROR_MIME = "text/html"

_DAY_S = 86_400
_BASE32 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", dtype=np.uint8)
#: Both characters of ten bits, so that a digest takes 16 look-ups.
_BASE32_PAIRS = np.stack([np.repeat(_BASE32, 32), np.tile(_BASE32, 32)], axis=1)
_DIGEST_CHARACTERS = 32
_SCHEMES = pa.array(["http://", "https://"])
_HOSTS = pa.array([host for host, _ in HOST_PREFIXES])
_HOST_KEYS = pa.array([key for _, key in HOST_PREFIXES])
_MIMES = pa.array([kind.mime for kind in KINDS] + [REVISIT_MIME])


@dataclass(frozen=True)
class Texts:
    """Text columns of a chunk, one value per capture; `redirect` is null where there is none."""

    url: pa.StringArray
    key: pa.StringArray
    host: pa.StringArray
    mime: pa.StringArray
    digest: pa.StringArray
    redirect: pa.StringArray
    warc: pa.StringArray


def texts_of(chunk: Chunk, world: World, seed: int) -> Texts:
    """The text columns of `chunk`."""
    domain = pa.array(chunk.domain)
    prefix = pa.array(chunk.host)
    host = _glued(_HOSTS.take(prefix), world.domains.take(domain))
    path = pa.array(chunk.path)
    number = pc.if_else(pa.array(chunk.path == ROOT), pa.scalar(""), pa.array(chunk.page).cast(pa.string()))
    rest = _glued(world.path_heads.take(path), number, world.path_tails.take(path))
    place = _glued(host, rest)
    redirected = (chunk.status == 301) | (chunk.status == 302)
    return Texts(
        url=_glued(_SCHEMES.take(pa.array(chunk.https.astype(np.int8))), place),
        key=_glued(world.domain_keys.take(domain), _HOST_KEYS.take(prefix), pa.scalar(")"), rest),
        host=host,
        mime=_mimes(chunk),
        digest=_digests(chunk),
        redirect=pc.if_else(
            pa.array(redirected), _glued(pa.scalar("https://"), place), pa.scalar(None, pa.string())
        ),
        warc=_warcs(chunk.warc, seed),
    )


def digits(seconds: Ints) -> npt.NDArray[np.uint8]:
    """Instants as 14 digits each: bytes of shape (rows, 14)."""
    day = seconds // _DAY_S
    return np.concatenate([_DATES[day - EARLIEST // _DAY_S], _TIMES[seconds - day * _DAY_S]], axis=1)


def strings(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Texts of equal length from their bytes, of shape (rows, length)."""
    count, length = characters.shape
    offsets = np.arange(0, (count + 1) * length, length, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(characters))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data)


def _glued(*parts: pa.Array | pa.Scalar) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")


def _mimes(chunk: Chunk) -> pa.StringArray:
    missing = (chunk.status != 200) & (chunk.status != 304)
    number = np.where(chunk.revisit, len(KINDS), np.where(missing, KINDS_BY_MIME[ERROR_MIME], chunk.kind))
    return _MIMES.take(pa.array(number))


def _digests(chunk: Chunk) -> pa.StringArray:
    lanes = [mixed(chunk.content + np.uint64(lane)) for lane in range(4)]
    pairs = np.stack([_ten_bits(lane, place) for lane in lanes for place in range(4)], axis=1)
    characters = _BASE32_PAIRS[pairs].reshape(len(chunk), _DIGEST_CHARACTERS)
    characters[chunk.empty] = np.frombuffer(EMPTY_BODY_SHA1.encode(), dtype=np.uint8)
    return strings(characters)


def _ten_bits(words: Words, place: int) -> npt.NDArray[np.int64]:
    return ((words >> np.uint64(10 * place)) & np.uint64(1023)).astype(np.int64)


def _warcs(numbers: Ints, seed: int) -> pa.StringArray:
    first = int(numbers[0])
    prefix = WARC_NAME.format(seed=seed)
    names = [f"{prefix}{number:07d}.warc.gz" for number in range(first, int(numbers[-1]) + 1)]
    return pa.array(names).take(pa.array(numbers - first))


def _date_table() -> npt.NDArray[np.uint8]:
    days = np.arange(EARLIEST // _DAY_S, LATEST // _DAY_S + 1).astype("datetime64[D]")
    text = "".join(str(day).replace("-", "") for day in days)
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 8)


def _time_table() -> npt.NDArray[np.uint8]:
    second = np.arange(_DAY_S)
    parts = (second // 3600, second // 60 % 60, second % 60)
    tens_and_ones = [digit for part in parts for digit in (part // 10, part % 10)]
    return (np.stack(tens_and_ones, axis=1) + ord("0")).astype(np.uint8)


KINDS_BY_MIME = {kind.mime: number for number, kind in enumerate(KINDS)}
_DATES = _date_table()
_TIMES = _time_table()
