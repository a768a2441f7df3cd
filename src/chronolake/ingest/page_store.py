"""Store a batch of extracted pages: PostgreSQL holds the truth, and the same transaction promises the lake its copy.

One transaction has the batch's pages, their entities, the failures and the decisions: after a crash either all of it
is there, and those captures are not looked at again, or nothing is.

The lake gets the pages by their staged file and everything else by the stream, so the transaction is not hidden from
it: the sync leaves the pages' rows out by the batch's message. A staged file only adds. So a batch with a page that
takes another's place stages nothing, and goes by the stream alone, as everything does where dual write is off.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from uuid import UUID

from psycopg import Connection

from chronolake import faults
from chronolake.clock import Clock
from chronolake.errors import DatabaseConflict
from chronolake.extract import ExtractedPage, Failure
from chronolake.ingest.dual_write import DualWrite, Inserted
from chronolake.ingest.filters import FilterReason
from chronolake.ingest.page_rows import (
    Decision,
    Extracted,
    decision_row,
    entity_rows,
    failure_row,
    lake_rows,
    page_row,
)
from chronolake.ingest.storer import RETRY_PAUSES_S
from chronolake.oltp import Database, imports, pages
from chronolake.telemetry import logs

_log = logs.get_logger(__name__)


@dataclass
class PageBatch:
    """What one transaction stores. Of a capture there is one result at most, and one decision."""

    extracted: list[Extracted] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.extracted) + len(self.decisions)


@dataclass(frozen=True)
class PagesStored:
    """What became of a batch: captures that are pages now, that failed, and that something decided against at last."""

    pages: int
    failures: tuple[Failure, ...]
    late: tuple[Decision, ...]


class PageStore:
    """Stores batches of one run. `again` lets pages take the place of those that are there.

    `included` are reasons that count for nothing, as in `filters.decide`.
    """

    def __init__(
        self,
        *,
        database: Database,
        write: DualWrite,
        clock: Clock,
        again: bool,
        included: AbstractSet[str],
    ) -> None:
        self._database = database
        self._write = write
        self._clock = clock
        self._again = again
        self._included = included

    def store(self, batch: PageBatch) -> PagesStored:
        """Store the batch, or nothing of it.

        Raises:
            DatabaseConflict: others were in the way, time and again.
            DatabaseError: PostgreSQL refused.
            StorageFull: no room for the staged file.
        """
        for pause_s in RETRY_PAUSES_S:
            try:
                return self._once(batch)
            except DatabaseConflict as error:
                _log.warning("pages.conflict", reason=error.message, retry_in_s=pause_s)
                self._clock.sleep(pause_s)
        return self._once(batch)

    def _once(self, batch: PageBatch) -> PagesStored:
        with self._database.connection() as conn:
            faults.reach("pages.before_store")
            stored = self._within(conn, batch)
            faults.reach("pages.before_commit")
        faults.reach("pages.after_commit")
        return stored

    def _within(self, conn: Connection, batch: PageBatch) -> PagesStored:
        batch_id = imports.next_batch(conn)
        ids = [extracted.candidate.id for extracted in batch.extracted]
        held = pages.of_captures(conn, ids) if self._again else set()
        found, same = self._less_same_text(conn, batch, held)
        # In one order, so that two runs of one project never wait for each other in a circle.
        found.sort(key=lambda pair: pair[0].candidate.id)
        rows = [page_row(extracted, page, batch_id) for extracted, page in found]
        new = pages.add(conn, rows, replace=bool(held))
        kept = [row for row in rows if row["page_id"] in new]
        faults.reach("pages.after_insert")
        failed = [
            (extracted, extracted.result)
            for extracted in batch.extracted
            if isinstance(extracted.result, Failure)
        ]
        entities = [
            row
            for extracted, page in found
            if extracted.candidate.id in new
            for row in entity_rows(extracted, page, batch_id)
        ]
        pages.replace_entities(conn, sorted(new), entities)
        pages.put_failures(conn, [failure_row(extracted, failure) for extracted, failure in failed])
        pages.drop_failures(conn, sorted(new))
        decisions = [*batch.decisions, *same]
        pages.put_decisions(conn, [decision_row(decision) for decision in decisions])
        pages.override(conn, _overriding(batch, decisions))
        if kept:
            write = replace(self._write, staging=None) if held else self._write
            write.promise(Inserted(conn, batch_id, lake_rows(kept)))
        already = [_already(extracted) for extracted, _ in found if extracted.candidate.id not in new]
        return PagesStored(len(new), tuple(failure for _, failure in failed), (*same, *already))

    def _less_same_text(
        self, conn: Connection, batch: PageBatch, held: AbstractSet[UUID]
    ) -> tuple[list[tuple[Extracted, ExtractedPage]], list[Decision]]:
        """The pages whose text no other page of the project has, and what is decided of the rest.

        Those that are `held` already stay.
        """
        found = [
            (extracted, extracted.result)
            for extracted in batch.extracted
            if isinstance(extracted.result, ExtractedPage)
        ]
        if not found or FilterReason.SAME_TEXT.value in self._included:
            return found, []
        project_id = found[0][0].candidate.project_id
        known = pages.by_content(conn, project_id, [page.content_hash for _, page in found])
        kept, same = [], []
        for extracted, page in sorted(found, key=_in_order):
            other = known.setdefault(page.content_hash, extracted.candidate.id)
            if other == extracted.candidate.id or extracted.candidate.id in held:
                kept.append((extracted, page))
            else:
                detail = f"the text of {other}"
                same.append(Decision(extracted.candidate, FilterReason.SAME_TEXT.value, detail, extracted.at))
        return kept, same


def _in_order(pair: tuple[Extracted, ExtractedPage]) -> tuple[str, object, UUID]:
    candidate = pair[0].candidate
    return candidate.domain, candidate.timestamp, candidate.id


def _overriding(batch: PageBatch, decisions: Sequence[Decision]) -> list[UUID]:
    """Captures that were read although something had been decided against them, and nothing is now."""
    decided = {decision.candidate.id for decision in decisions}
    read = [extracted.candidate for extracted in batch.extracted]
    return sorted(candidate.id for candidate in read if candidate.decided and candidate.id not in decided)


def _already(extracted: Extracted) -> Decision:
    detail = "another run has stored the page"
    return Decision(extracted.candidate, FilterReason.ALREADY.value, detail, extracted.at)
