"""Draw captures of the made-up web as columns of numbers, a chunk at a time.

A chunk depends on (seed, rows, chunk number) alone. Crawl sessions take one domain each, in bursts; a revisit
names an earlier capture of its own chunk, with that capture's URL and digest. How a chunk is written is told
by `cdx_text` and `tables`, which read the same numbers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from chronolake.bench.world import KINDS, PATHS, ROOT, Ints, Words, World, mixed, ranks

#: Rows drawn at once; a chunk in all its columns takes about 80 MB.
CHUNK_ROWS = 100_000
#: Captures in one WARC file; divides CHUNK_ROWS, so that offsets start anew with each chunk.
ROWS_PER_WARC = 25_000
#: 2015-01-01 and 2025-01-01, in seconds since 1970.
EARLIEST = 1_420_070_400
LATEST = 1_735_689_600
#: Share of captures whose content was seen before, so that only a revisit record is kept.
REVISIT_SHARE = 0.14
#: Projects and archive sources that captures are spread over, the first the largest.
PROJECTS = 8
SOURCES = 3
#: Share of lines that are damaged, unless the caller says otherwise.
CORRUPTED_SHARE = 0.001
#: Statuses and their shares among captures that are no revisits.
STATUSES = {200: 0.825, 301: 0.055, 302: 0.035, 404: 0.065, 403: 0.007, 500: 0.006, 503: 0.004, 304: 0.003}
#: Share of redirects with an empty body, whose digest is that of nothing.
EMPTY_REDIRECT_SHARE = 0.85

_SESSION_ROWS = 40.0
_DOMAIN_EXPONENT = 1.05
_PAGE_EXPONENT = 0.9
_MONTH_S = 2_629_800


class Damage(IntEnum):
    """What can be wrong with a line; damaged lines take these in turn."""

    INSERTED_ZEROS = 0  #: `00` before the month and the tail cut off: repaired to the minute
    WRONG_HOUR = 1  #: hour 40: repaired to the day
    NO_DATE = 2  #: month 13, day 45: rejected
    FEW_FIELDS = 3  #: the line ends after its third field: rejected
    BROKEN_BYTES = 4  #: no text at all: rejected
    NOT_UTF8 = 5  #: a Latin-1 byte in the query: stored with its raw line


#: Damage that costs the line.
REJECTED = frozenset({Damage.NO_DATE, Damage.FEW_FIELDS, Damage.BROKEN_BYTES})
#: Damage to the timestamp that can be repaired.
REPAIRED = frozenset({Damage.INSERTED_ZEROS, Damage.WRONG_HOUR})


@dataclass(frozen=True)
class Chunk:
    """Captures as columns of equal length; `damaged` are row numbers and `damage` what happened to each."""

    first_row: int
    domain: Ints
    path: Ints
    #: what makes a page of a path: no two pages of a domain share it
    page: Ints
    host: Ints
    https: npt.NDArray[np.bool_]
    #: seconds since 1970, as they read once repaired
    seconds: Ints
    #: 0 for revisits, which have none
    status: Ints
    kind: Ints
    revisit: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]
    #: names the content: equal numbers are equal digests
    content: Words
    length: Ints
    offset: Ints
    warc: Ints
    source: Ints
    project: Ints
    #: names the capture: no two of a run are equal
    identity: Words
    damaged: Ints
    damage: Ints

    def __len__(self) -> int:
        return len(self.domain)

    def sorted(self) -> "Chunk":
        """The same captures by (domain, timestamp), the order in which both stores like them."""
        order = np.lexsort((self.seconds, self.domain))
        rows = {
            field.name: getattr(self, field.name)[order]
            for field in fields(self)
            if field.name not in {"first_row", "damaged", "damage"}
        }
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        where = place[self.damaged]
        by_place = np.argsort(where)
        return replace(self, **rows, damaged=where[by_place], damage=self.damage[by_place])


@dataclass(frozen=True)
class Run:
    """What to draw: equal runs are equal captures."""

    rows: int
    seed: int = 1
    corrupted_share: float = CORRUPTED_SHARE

    def chunks(self, world: World) -> Iterator[Chunk]:
        """The captures in order, a chunk at a time."""
        for number, first in enumerate(range(0, self.rows, CHUNK_ROWS)):
            random = np.random.Generator(np.random.SFC64([self.seed, 1, number]))
            yield _draw(random, world, self, first)

    def damaged_before(self, row: int) -> int:
        """How many of the first `row` rows are damaged: the share, rounded."""
        return int(row * self.corrupted_share + 0.5)

    def damaged(self, kinds: Iterable[Damage]) -> int:
        """How many rows have damage of these kinds."""
        total = self.damaged_before(self.rows)
        return sum((total - kind + len(Damage) - 1) // len(Damage) for kind in set(kinds))


def _draw(random: np.random.Generator, world: World, run: Run, first: int) -> Chunk:
    count = min(CHUNK_ROWS, run.rows - first)
    seed = run.seed
    domain, page_rank, seconds, source, project = _sessions(random, len(world.domains), count)
    revisit, original = _revisits(random, count)
    # A revisit has the page, the crawl and so the digest of what it was found equal to, some time later.
    domain, page_rank = domain[original], page_rank[original]
    source, project = source[original], project[original]
    room = LATEST - 1 - seconds[original]
    later = np.minimum(random.exponential(30 * 86_400, count), room * random.random(count))
    seconds = np.where(revisit, seconds[original] + later.astype(np.int64), seconds)

    page = mixed(domain.astype(np.uint64) << np.uint64(24) ^ page_rank.astype(np.uint64))
    # A domain's most wanted page is its front page, and no other is.
    path = np.where(page_rank == 0, ROOT, 1 + (page % np.uint64(PATHS - 1)).astype(np.int64))
    kind = world.path_kinds[path]
    # Pages change at their own pace, from every month to every five years.
    pace = 1 + (page >> np.uint64(20)) % np.uint64(60)
    version = (seconds[original] - EARLIEST) // (_MONTH_S * pace.astype(np.int64))
    content = mixed(page ^ mixed(version.astype(np.uint64) + np.uint64((seed << 16) % 2**64)))

    status = _statuses(random, count)[original]
    redirect = (status == 301) | (status == 302)
    empty = redirect & (random.random(count) < EMPTY_REDIRECT_SHARE)[original]
    length = _lengths(random, kind, redirect | revisit)
    ends = np.cumsum(length)
    starts = ends - length
    warc_start = (np.arange(count) // ROWS_PER_WARC) * ROWS_PER_WARC
    damaged, damage = _damage(random, run, first, count)
    return Chunk(
        first_row=first,
        domain=domain,
        path=path,
        page=(page >> np.uint64(12)).astype(np.int64) % 10_000_000,
        host=_hosts(domain, page),
        https=seconds > EARLIEST + (page % np.uint64(97)).astype(np.int64) * 30 * 86_400,
        seconds=_repaired(seconds, damaged, damage),
        status=np.where(revisit, 0, status),
        kind=kind,
        revisit=revisit,
        empty=empty,
        content=content,
        length=length,
        offset=starts - starts[warc_start],
        warc=(first + np.arange(count)) // ROWS_PER_WARC,
        source=source,
        project=project,
        identity=mixed(np.arange(first, first + count, dtype=np.uint64) + np.uint64((seed << 40) % 2**64)),
        damaged=damaged,
        damage=damage,
    )


def _sessions(random: np.random.Generator, domains: int, count: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Domain, page rank, second, source and project of `count` captures, a crawl session after another."""
    sizes = np.maximum(random.lognormal(np.log(_SESSION_ROWS) - 0.5, 1.0, count // 8 + 64), 1).astype(
        np.int64
    )
    # Enough sessions for any draw: the last is cut, the rest is left.
    while sizes.sum() < count:
        sizes = np.concatenate([sizes, sizes])
    session = np.repeat(np.arange(len(sizes)), sizes)[:count]
    many = int(session[-1]) + 1
    domain = ranks(random.random(many), float(domains), _DOMAIN_EXPONENT)
    pages = np.clip(200_000.0 / np.power(domain + 1.0, 0.7), 5.0, None)
    page_rank = ranks(random.random(count), pages[session], _PAGE_EXPONENT)
    # The web and the archives grew: half of all sessions lie in the last four years. They cluster in
    # campaigns at the beginning of a month.
    months = ((LATEST - EARLIEST) / _MONTH_S * np.power(random.random(many), 0.7)).astype(np.int64)
    begun = EARLIEST + months * _MONTH_S + np.minimum(random.exponential(5 * 86_400, many), _MONTH_S - 86_400)
    passed = np.cumsum(random.exponential(2.0, count))
    starts = np.searchsorted(session, np.arange(many))
    seconds = begun[session] + passed - passed[starts][session]
    source = random.choice(SOURCES, size=many, p=_falling(SOURCES))[session]
    project = random.choice(PROJECTS, size=many, p=_falling(PROJECTS))[session]
    return domain[session], page_rank, np.minimum(seconds.astype(np.int64), LATEST - 1), source, project


def _falling(count: int) -> npt.NDArray[np.float64]:
    """Shares of `count` things, each a little smaller than the one before."""
    weights = 1.0 / np.arange(1, count + 1)
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares


def _revisits(random: np.random.Generator, count: int) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Which rows are revisits, and the row that each row has its content of: for the others, itself."""
    revisit = random.random(count) < REVISIT_SHARE
    revisit[0] = False
    originals = np.flatnonzero(~revisit)
    before = np.cumsum(~revisit)
    chosen = originals[(random.random(count) * before).astype(np.int64)]
    return revisit, np.where(revisit, chosen, np.arange(count))


def _statuses(random: np.random.Generator, count: int) -> Ints:
    drawn: Ints = random.choice(list(STATUSES), size=count, p=list(STATUSES.values()))
    return drawn


def _hosts(domain: Ints, page: Words) -> Ints:
    """Which host of its domain a page lies on: mostly the main one, which is `www.` for two of three."""
    main = (mixed(domain.astype(np.uint64)) % np.uint64(3) != 0).astype(np.int64)
    side = (page >> np.uint64(40)) % np.uint64(20)
    return np.where(side < 3, 2 + side.astype(np.int64), main)


def _lengths(random: np.random.Generator, kind: Ints, small: npt.NDArray[np.bool_]) -> Ints:
    """Compressed sizes of records in bytes; redirects and revisits are headers alone."""
    middle = np.array([k.log_bytes for k in KINDS])[kind]
    spread = np.array([k.spread for k in KINDS])[kind]
    logs = np.where(small, 6.2, middle) + np.where(small, 0.2, spread) * random.standard_normal(len(kind))
    return 200 + np.exp(np.minimum(logs, 19.0)).astype(np.int64)


def _damage(random: np.random.Generator, run: Run, first: int, count: int) -> tuple[Ints, Ints]:
    before = run.damaged_before(first)
    here = run.damaged_before(first + count) - before
    rows = np.sort(random.choice(count, size=here, replace=False))
    return rows, (before + np.arange(here)) % len(Damage)


def _repaired(seconds: Ints, damaged: Ints, damage: Ints) -> Ints:
    """The instants that a repair can still find: to the minute, or to the day."""
    found = seconds.copy()
    for what, unit in ((Damage.INSERTED_ZEROS, 60), (Damage.WRONG_HOUR, 86_400)):
        rows = damaged[damage == what]
        found[rows] -= found[rows] % unit
    return found
