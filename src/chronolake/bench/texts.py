"""The texts of generated captures, built a column at a time; no row is touched by Python."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench.captures import EARLIEST, LATEST, Chunk
from chronolake.bench.world import HOST_PREFIXES, KINDS, ROOT, Ints, World, mixed
from chronolake.capture.digest import EMPTY_BODY_SHA1

#: WARC files are named so, with seed and number: whoever meets one knows what it is.
WARC_NAME = "GENERATED-{seed}-"
REVISIT_MIME = "warc/revisit"
#: A page that is not there is told so in HTML, whatever it would have been.
ERROR_MIME = "text/html"

_DAY_S = 86_400
_TWENTY_BITS = np.uint64(2**20 - 1)
_BASE32 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", dtype=np.uint8)
_DIGEST_CHARACTERS = 32
_SCHEMES = ("http://", "https://")
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
    origins = _Origins(chunk, world)
    path = pa.array(chunk.path)
    # The front page has no number.
    number = pa.array(chunk.page, mask=chunk.path == ROOT).cast(pa.string())
    rest = _glued(world.path_heads.take(path), number, world.path_tails.take(path))
    redirected = np.flatnonzero((chunk.status == 301) | (chunk.status == 302))
    secure = _glued(
        pa.scalar(_SCHEMES[1]), origins.hosts.take(pa.array(redirected)), rest.take(pa.array(redirected))
    )
    place = np.full(len(chunk), -1)
    place[redirected] = np.arange(len(redirected))
    return Texts(
        url=_glued(origins.urls, rest),
        key=_glued(origins.keys, rest),
        host=origins.hosts,
        mime=_mimes(chunk),
        digest=_digests(chunk),
        redirect=secure.take(pa.array(place, mask=place < 0)),
        warc=_warcs(chunk.warc, seed),
    )


class _Origins:
    """What stands before the path, in URL and key: few differ, so few are put together."""

    def __init__(self, chunk: Chunk, world: World) -> None:
        codes = (chunk.domain * len(HOST_PREFIXES) + chunk.host) * 2 + chunk.https
        distinct, which = np.unique(codes, return_inverse=True)
        domain = pa.array(distinct // (2 * len(HOST_PREFIXES)))
        prefix = pa.array(distinct // 2 % len(HOST_PREFIXES))
        hosts = _glued(_HOSTS.take(prefix), world.domains.take(domain))
        schemes = pa.array(_SCHEMES).take(pa.array(distinct % 2))
        keys = _glued(world.domain_keys.take(domain), _HOST_KEYS.take(prefix), pa.scalar(")"))
        rows = pa.array(which)
        self.hosts = hosts.take(rows)
        self.urls = _glued(schemes, hosts).take(rows)
        self.keys = keys.take(rows)


def digits(seconds: Ints) -> npt.NDArray[np.uint8]:
    """Instants as 14 digits each: bytes of shape (rows, 14)."""
    day = seconds // _DAY_S
    return np.concatenate(
        [_date_table()[day - EARLIEST // _DAY_S], _time_table()[seconds - day * _DAY_S]], axis=1
    )


def strings(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Texts of equal length from their bytes, of shape (rows, length)."""
    count, length = characters.shape
    offsets = np.arange(0, (count + 1) * length, length, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(characters))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data)


def _glued(*parts: pa.Array | pa.Scalar) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def _mimes(chunk: Chunk) -> pa.StringArray:
    missing = (chunk.status != 200) & (chunk.status != 304)
    number = np.where(chunk.revisit, len(KINDS), np.where(missing, KINDS_BY_MIME[ERROR_MIME], chunk.kind))
    return _MIMES.take(pa.array(number))


def _digests(chunk: Chunk) -> pa.StringArray:
    quarters = np.empty((len(chunk), _DIGEST_CHARACTERS // 4), dtype=np.uint32)
    table = _base32_table()
    for lane in range(4):
        words = mixed(chunk.content + np.uint64(lane))
        quarters[:, 2 * lane] = table[words & _TWENTY_BITS]
        quarters[:, 2 * lane + 1] = table[(words >> np.uint64(20)) & _TWENTY_BITS]
    characters = quarters.view(np.uint8)
    characters[chunk.empty] = np.frombuffer(EMPTY_BODY_SHA1.encode(), dtype=np.uint8)
    return strings(characters)


def _warcs(numbers: Ints, seed: int) -> pa.StringArray:
    first = int(numbers.min())
    prefix = WARC_NAME.format(seed=seed)
    names = [f"{prefix}{number:07d}.warc.gz" for number in range(first, int(numbers.max()) + 1)]
    return pa.array(names).take(pa.array(numbers - first))


@cache
def _date_table() -> npt.NDArray[np.uint8]:
    days = np.arange(EARLIEST // _DAY_S, LATEST // _DAY_S + 1).astype("datetime64[D]")
    text = "".join(str(day).replace("-", "") for day in days)
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 8)


@cache
def _time_table() -> npt.NDArray[np.uint8]:
    second = np.arange(_DAY_S)
    parts = (second // 3600, second // 60 % 60, second % 60)
    tens_and_ones = [digit for part in parts for digit in (part // 10, part % 10)]
    return (np.stack(tens_and_ones, axis=1) + ord("0")).astype(np.uint8)


@cache
def _base32_table() -> npt.NDArray[np.uint32]:
    """Four characters for each number of twenty bits, so that a digest takes eight look-ups."""
    number = np.arange(2**20)
    characters = np.stack([_BASE32[number >> shift & 31] for shift in (15, 10, 5, 0)], axis=1)
    return np.ascontiguousarray(characters).view(np.uint32).reshape(-1)


KINDS_BY_MIME = {kind.mime: number for number, kind in enumerate(KINDS)}
