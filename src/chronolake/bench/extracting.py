"""How many pages a second become text, language, quality and entities, by worker processes.

What is measured is the pool from payload to page: fetching and storing wait for other things than this machine.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from uuid import UUID, uuid5

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from chronolake.bench.web_pages import pages
from chronolake.capture.payload import Payload
from chronolake.errors import InputUnreadable
from chronolake.extract.page import Failure
from chronolake.extract.pool import ExtractorPool
from chronolake.settings import ExtractSettings

#: Pages that are generated; more of them are the same again.
_GENERATED = 300
#: Payloads that each worker reads before the clock starts: the first ones wait for it to come up.
_WARM_UP = 5
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_NAMESPACE = UUID("6f1c8a52-3a1b-5c6e-9d0f-5b8d2f6f3f10")


@dataclass(frozen=True)
class Extracted:
    """What came of a run, and what the machine did beside it."""

    pages: int
    failures: dict[str, int]
    html_bytes: int
    text_characters: int
    entities: int
    languages: dict[str, int]
    seconds: float
    workers: int
    pages_per_s: float
    #: processor time of a page, worker and pool together: what other programs do at the time changes it little
    cpu_ms_per_page: float
    #: processes that wanted a core, on average over the last minute
    load: float


def run(
    *,
    warcs: Sequence[Path],
    count: int,
    workers: int | None,
    settings: ExtractSettings,
    told: Callable[[str], None],
) -> Extracted:
    """Read `count` pages, of the WARC files or generated ones, over and over where there are fewer.

    Raises:
        InputUnreadable: a file cannot be opened, or none has a page of HTML.
    """
    given = [payload for warc in warcs for payload in html_of(warc)] if warcs else list(pages(_GENERATED))
    if not given:
        raise InputUnreadable("no page of HTML in these files", hint="Name WARC files with responses.")
    told(f"{len(given)} pages, {sum(len(payload.body) for payload in given) / 1e6:.1f} MB")
    workers = workers or settings.workers or os.cpu_count() or 1
    failures: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    read = characters = entities = 0
    with ExtractorPool(settings, workers) as pool:
        for _ in pool.extract(islice(cycle(given), workers * _WARM_UP)):
            pass
        cpu_s, began = _cpu_s(pool.pids), time.perf_counter()
        for result in pool.extract(islice(cycle(given), count)):
            if isinstance(result, Failure):
                failures[result.kind] += 1
                continue
            read += 1
            characters += len(result.text)
            entities += len(result.entities)
            languages[result.language or "none"] += 1
        seconds, cpu_s = time.perf_counter() - began, _cpu_s(pool.pids) - cpu_s
    return Extracted(
        pages=read,
        failures=dict(failures),
        html_bytes=sum(len(payload.body) for payload in islice(cycle(given), count)),
        text_characters=characters,
        entities=entities,
        languages=dict(languages.most_common(10)),
        seconds=round(seconds, 3),
        workers=workers,
        pages_per_s=round(count / seconds, 1),
        cpu_ms_per_page=round(1000 * cpu_s / count, 2),
        load=os.getloadavg()[0],
    )


def _cpu_s(pids: Sequence[int]) -> float:
    """Processor time of the workers and of this process, in seconds."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in pids)
    # User and system time are fields 14 and 15; the name, which may hold blanks, is the second.
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in stats)
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def html_of(warc: Path) -> Iterator[Payload]:
    """The HTML answers of a WARC file; what is damaged ends it."""
    try:
        file = warc.open("rb")
    except OSError as error:
        raise InputUnreadable(f"{warc}: {error.strerror}") from error
    with file:
        records = ArchiveIterator(
            file, record_types=WarcRecordType.response, parse_http=True, auto_decode="all"
        )
        try:
            for number, record in enumerate(records):
                payload = _payload(record, uuid5(_NAMESPACE, f"{warc.name} {number}"))
                if payload is not None:
                    yield payload
        except OSError:
            return


def _payload(record: WarcRecord, capture_id: UUID) -> Payload | None:
    mime = (record.http_content_type or "").partition(";")[0].strip().lower()
    body = record.reader.read()
    if mime not in _HTML or not body:
        return None
    made = record.record_date or datetime.now(UTC)
    return Payload(
        capture_id=capture_id,
        url=record.headers.get("WARC-Target-URI") or "",
        captured_at=made.replace(tzinfo=None),
        body=body,
        mime_sent=mime,
        charset_sent=record.http_charset,
    )
