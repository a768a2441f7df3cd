"""The made-up web that generated captures are taken from: its domains, hosts and paths.

Names are told by number alone, so that the same page has the same URL in every chunk, and no list of pages
is ever held. Everything is in the form that URL keys keep (lower case, sorted query, no trailing slash), so a
key is put together from the same pieces as its URL.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

#: Public suffixes and how often each is drawn. Real ones, or no name would have a registered domain.
SUFFIXES = {"com": 52, "org": 13, "net": 9, "de": 9, "co.uk": 7, "fr": 5, "nl": 5}
#: What stands before a domain, and what that adds to its URL key; keys leave `www.` out.
HOST_PREFIXES = (("", ""), ("www.", ""), ("blog.", ",blog"), ("shop.", ",shop"), ("m.", ",m"))
#: Every name begins so: nobody shall take a generated capture for a real one.
NAME = "generated-"
#: Path patterns; each domain numbers its pages over them.
PATHS = 4096
#: The path of every domain's front page, the one that is captured most; it bears no number.
ROOT = 0
#: Captures a domain has on average. The median has far fewer, as the largest takes a tenth of all.
CAPTURES_PER_DOMAIN = 25
FEWEST_DOMAINS = 10
MOST_DOMAINS = 1_000_000

_TOPICS = (
    "news",
    "articles",
    "products",
    "events",
    "people",
    "archive",
    "reports",
    "travel",
    "sports",
    "culture",
)
_WORDS = (
    "river", "harbour", "winter", "market", "garden", "copper", "signal", "bridge", "letter", "window",
    "orchard", "lantern", "meadow", "compass", "paper", "thunder", "velvet", "marble", "timber", "anchor",
)  # fmt: skip


@dataclass(frozen=True)
class PageKind:
    """A kind of resource: its media type, its share of paths, the log-normal of its size in bytes."""

    mime: str
    share: float
    log_bytes: float
    spread: float


#: Kinds in the order of their numbers.
KINDS = (
    PageKind("text/html", 0.62, 9.3, 1.0),
    PageKind("image/jpeg", 0.13, 10.2, 1.2),
    PageKind("image/png", 0.06, 9.2, 1.4),
    PageKind("application/pdf", 0.03, 12.6, 1.3),
    PageKind("application/javascript", 0.05, 9.8, 1.1),
    PageKind("text/css", 0.04, 8.8, 0.9),
    PageKind("application/json", 0.04, 7.6, 1.2),
    PageKind("text/plain", 0.01, 5.9, 0.8),
    PageKind("unk", 0.02, 8.0, 1.5),
)
_ENDINGS = (".html", ".jpg", ".png", ".pdf", ".js", ".css", ".json", ".txt", "")


@dataclass(frozen=True)
class World:
    """Domains by rank (0 is the largest), and paths as what stands before and after a page's number."""

    domains: pa.StringArray
    domain_keys: pa.StringArray
    tlds: pa.StringArray
    path_heads: pa.StringArray
    path_tails: pa.StringArray
    path_kinds: Ints

    @classmethod
    def build(cls, seed: int, rows: int) -> "World":
        """The web of this seed, with as many domains as `rows` captures would come from."""
        count = int(np.clip(rows // CAPTURES_PER_DOMAIN, FEWEST_DOMAINS, MOST_DOMAINS))
        random = np.random.Generator(np.random.SFC64([seed, 0]))
        suffixes = list(SUFFIXES)
        weights = np.array(list(SUFFIXES.values()), dtype=float)
        drawn = pa.array(random.choice(len(suffixes), size=count, p=weights / weights.sum()))
        numbers = pc.utf8_lpad(pa.array(np.arange(count)).cast(pa.string()), 7, "0")
        names = pc.binary_join_element_wise(pa.scalar(NAME), numbers, "")
        reversed_suffixes = [",".join(reversed(suffix.split("."))) for suffix in suffixes]
        kinds = random.choice(len(KINDS), size=PATHS, p=[kind.share for kind in KINDS])
        kinds[ROOT] = 0
        heads, tails = _paths(random, kinds)
        return cls(
            domains=pc.binary_join_element_wise(names, pa.array(suffixes).take(drawn), "."),
            domain_keys=pc.binary_join_element_wise(pa.array(reversed_suffixes).take(drawn), names, ","),
            tlds=pa.array([suffix.rpartition(".")[2] for suffix in suffixes]).take(drawn),
            path_heads=heads,
            path_tails=tails,
            path_kinds=kinds,
        )


def _paths(random: np.random.Generator, kinds: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    heads: list[str] = []
    tails: list[str] = []
    words = random.integers(0, len(_WORDS), size=(PATHS, 3))
    topics = random.integers(0, len(_TOPICS), size=PATHS)
    queries = random.random(PATHS) < 0.15
    years = random.integers(2010, 2025, size=PATHS)
    for kind, (one, two, three), topic, query, year in zip(kinds, words, topics, queries, years, strict=True):
        name = f"{_WORDS[one]}-{_WORDS[two]}"
        if kind == 0 and query:
            heads.append(f"/{_TOPICS[topic]}/search?id=")
            tails.append(f"&q={_WORDS[three]}")
        else:
            heads.append(f"/{_TOPICS[topic]}/{year}/{name}-{_WORDS[three]}-")
            tails.append(_ENDINGS[kind])
    heads[ROOT], tails[ROOT] = "/", ""
    return pa.array(heads), pa.array(tails)


def ranks(uniform: npt.NDArray[np.float64], count: npt.NDArray[np.float64] | float, exponent: float) -> Ints:
    """Ranks from 0 below `count`, drawn by Zipf's law with `exponent` (not 1) from numbers in [0, 1)."""
    power = 1.0 - exponent
    drawn = ((np.power(count, power) - 1.0) * uniform + 1.0) ** (1.0 / power)
    return np.clip(drawn.astype(np.int64) - 1, 0, np.asarray(count, dtype=np.int64) - 1)


def mixed(values: Words) -> Words:
    """Scatter 64-bit numbers one to one (the finaliser of SplitMix64, Steele and others, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
