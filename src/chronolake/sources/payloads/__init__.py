"""Payloads of captures: from archives with the manners that collecting has, and from files on this machine."""

from chronolake.sources.payloads.fetcher import PayloadFetcher, fetcher_of
from chronolake.sources.payloads.files import WarcFiles
from chronolake.sources.payloads.kept import PASSING, Fetched, NotFetched, Unfetched

__all__ = ["PASSING", "Fetched", "NotFetched", "PayloadFetcher", "Unfetched", "WarcFiles", "fetcher_of"]
