"""The shapes of the tables that the lake follows: what is known of each, and how it changes.

What a lake table follows is noted in the lake's catalog in the very commit that brings the first rows of a new shape.
The lake's own statements are a commit before that one; a process that dies between both finds on its return what is
done already, by DuckLake's numbers of the columns, and does only the rest. PostgreSQL is asked about a relation
whenever the stream tells of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from psycopg import Connection

from chronolake.capture.columns import TABLES, Table
from chronolake.lake import Lake, RelationNote, note_relation
from chronolake.oltp import Database, relations, sync_tables
from chronolake.oltp.relations import PublishedTable, RelationFacts
from chronolake.sync import schema
from chronolake.sync.messages import Relation, RelationColumn
from chronolake.sync.schema import Attribute, Evolution, Followed, HeldColumn, Now, Parked
from chronolake.sync.tables import TableEvent, TableState, next_state
from chronolake.telemetry import logs

#: Where the tables of the registry lie.
SCHEMA = "chronolake"
#: Published for the sync's own sake.
_NOT_SYNCED = {(SCHEMA, "sync_heartbeat")}
_BY_POSTGRES_NAME = {table.postgres_table: table for table in TABLES.values()}

_log = logs.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """How rows of one shape of a relation become rows of the lake table as it is now.

    `wanted` are the relation's columns with the types to decode them as, `names` what the lake calls them; `fills` are
    the values of the lake's columns that this shape had not yet.
    """

    wanted: Mapping[str, pa.DataType]
    names: Mapping[str, str]
    fills: Mapping[str, str]
    types: Mapping[int, int]


@dataclass(frozen=True)
class CopyPlan:
    """What to copy of a PostgreSQL table, and what the lake table becomes."""

    source: PublishedTable
    evolution: Evolution
    note: RelationNote

    @property
    def table(self) -> Table:
        """The lake table, as the copied rows fit it."""
        return self.evolution.table

    @property
    def shape(self) -> str:
        """The columns in a text, to tell whether what was copied before has the same."""
        return json.dumps([self.note.relation_oid, self.note.columns])


class Shapes:
    """What one term knows of its tables. For one thread."""

    def __init__(self, *, lake: Lake, database: Database) -> None:
        self._lake = lake
        self._database = database
        self._notes: dict[str, RelationNote] = {note.table_name: note for note in lake.relation_notes()}
        self._unnoted: set[str] = set()
        self._evolutions: dict[str, Evolution] = {}
        self._numbers: dict[Relation, tuple[int, ...]] = {}
        self._last: dict[int, Relation] = {}
        with database.connection() as conn:
            self._left_out = sync_tables.in_state(conn, TableState.PARKED) | sync_tables.in_state(
                conn, TableState.COPYING
            )

    def name_of(self, oid: int) -> str | None:
        """The lake table that follows a relation now; null where none does."""
        return next(
            (
                n.table_name
                for n in self._notes.values()
                if n.relation_oid == oid and n.table_name not in self._left_out
            ),
            None,
        )

    def follows(self, oid: int, commit_lsn: int) -> bool:
        """Whether a change of a relation is for the lake: it is not in the copy that its table began as."""
        name = self.name_of(oid)
        return name is not None and commit_lsn >= self._notes[name].copied_lsn

    def table(self, name: str) -> Table:
        """The lake table as it is now."""
        evolution = self._evolutions.get(name)
        return evolution.table if evolution is not None else self._base(self._notes[name])

    def reading(self, name: str, relation: Relation) -> Reading:
        """How rows of this shape are read."""
        evolution = self._evolutions[name]
        told = dict(zip(self._numbers[relation], relation.columns, strict=True))
        arrows = {column.name: column.arrow for column in evolution.table.columns}
        both = {number: lake for number, (_, lake) in evolution.columns.items() if number in told}
        return Reading(
            wanted={told[number].name: arrows[lake] for number, lake in both.items()},
            names={told[number].name: lake for number, lake in both.items()},
            fills={
                lake: evolution.fills[number]
                for number, (_, lake) in evolution.columns.items()
                if number not in told and number in evolution.fills
            },
            types=evolution.types,
        )

    def more_columns(self, name: str) -> tuple[Table, Mapping[int, int]] | None:
        """The table, and as what its own types are sent, where it has more columns than the registry declares."""
        evolution = self._evolutions.get(name) or self._now(name)
        declared = len(TABLES[name].columns)
        if evolution is None or len(evolution.table.columns) == declared:
            return None
        return evolution.table, evolution.types

    def meet(self, relation: Relation) -> Evolution | Parked | None:
        """What must happen before rows of this shape can be applied; nothing, where it is the one that is known."""
        name = self.name_of(relation.oid)
        if name is None or self._last.get(relation.oid) is relation:
            return None
        note = self._notes[name]
        facts = self._facts(relation)
        met = schema.follow(self._base(note), relation, _followed(note), _now(note, facts), self._held(name))
        if isinstance(met, Evolution) and not met.statements:
            self._take(note, relation, met, facts)
            return None
        return met

    def follow(self, relation: Relation, met: Evolution | Parked) -> None:
        """Let the lake table have the shape, or be parked. What came before must be in the lake.

        Raises:
            LakeBusy: another process committed at the same time.
        """
        name = self.name_of(relation.oid)
        if name is None:
            return
        if isinstance(met, Parked):
            self.park(name, met)
            return
        _log.warning("sync.schema_changed", table=name, statements=list(met.statements))
        self._lake.evolve(met.statements)
        self._take(self._notes[name], relation, met, self._facts(relation))

    def park(self, name: str, why: Parked) -> None:
        """Leave out the table's changes from now on, until an operator has it copied."""
        park(self._database, name, why)
        self._left_out.add(name)

    def noting(self, conn: Connection) -> None:
        """Write down the shapes that are new, in the commit that brings their first rows."""
        for name in self._unnoted:
            note_relation(conn, self._notes[name])

    def noted(self) -> None:
        """That commit is done."""
        self._unnoted.clear()

    def unknown(self, published: Sequence[PublishedTable]) -> list[PublishedTable]:
        """The published tables that no lake table follows, nor is parked."""
        known = {note.relation_oid for note in self._notes.values()}
        return [
            table
            for table in syncable(published)
            if table.oid not in known and lake_name(table) not in self._left_out
        ]

    def lost(self, published: Sequence[PublishedTable]) -> list[str]:
        """The lake tables whose PostgreSQL table is published no more."""
        oids = {table.oid for table in published}
        return [
            n for n, note in self._notes.items() if note.relation_oid not in oids and n not in self._left_out
        ]

    def plan_copy(self, conn: Connection, source: PublishedTable, lsn: int) -> CopyPlan | Parked:
        """What copying a table as `conn` sees it, at `lsn`, does to the lake table."""
        name = lake_name(source)
        facts = relations.facts(conn, source.oid)
        holder = self._notes.get(name)
        registered = TABLES.get(name)
        if facts is None:
            return Parked("the table is gone from PostgreSQL", f"Make it again; then: {_resume(name)}")
        if (registered and source.schema != SCHEMA) or (
            holder and (holder.schema_name, holder.relation_name) != (source.schema, source.name)
        ):
            return Parked(
                f"the lake has a table {name} already, which is not that of the schema {source.schema}",
                f"Rename one of them; then: {_resume(name)}",
            )
        if registered is None and len(facts.key) != 1:
            return Parked(
                "it has no primary key of one column, by which its rows could be found in the lake",
                f"Add one: ALTER TABLE {source.name} ADD PRIMARY KEY (...); then: {_resume(name)}",
            )
        base = registered or schema.table_of(name, postgres_name=source.name, key=facts.key[0])
        relation = _relation(source, facts, base.key)
        note = RelationNote(name, source.oid, source.schema, source.name, base.key, facts.filenode, lsn, ())
        evolution = schema.anew(base, relation, _now(note, facts), self._held(name))
        return evolution if isinstance(evolution, Parked) else CopyPlan(source, evolution, note)

    def prepare(self, plan: CopyPlan) -> CopyPlan:
        """Let the lake table have the shape that is copied; the plan with the lake's numbers of the columns."""
        if plan.evolution.statements:
            self._lake.evolve(plan.evolution.statements)
        columns = self._noted_columns(plan.note.table_name, plan.evolution)
        return replace(plan, note=replace(plan.note, columns=columns))

    def copied(self, plan: CopyPlan) -> None:
        """The copy is in the lake: the stream goes on from there."""
        name = plan.note.table_name
        self._notes[name] = plan.note
        self._evolutions[name] = plan.evolution
        self._unnoted.discard(name)
        self._last.pop(plan.note.relation_oid, None)
        self._left_out.discard(name)

    def leave_out(self, names: set[str]) -> None:
        """Do not apply changes of these tables: they are going to be copied."""
        self._left_out |= names

    def _take(
        self, note: RelationNote, relation: Relation, met: Evolution, facts: RelationFacts | None
    ) -> None:
        name = note.table_name
        self._evolutions[name] = met
        self._numbers[relation] = tuple(met.columns)
        self._last[relation.oid] = relation
        after = replace(note, columns=self._noted_columns(name, met))
        living = {a.number for a in facts.attributes if a.published} if facts else set()
        if facts is not None and living == set(met.columns):
            # Not where the stream is behind: what the catalog says of a later shape is for that one.
            after = replace(after, filenode=facts.filenode)
        if after != note:
            self._notes[name] = after
            self._unnoted.add(name)

    def _noted_columns(self, name: str, met: Evolution) -> tuple[tuple[int, str, int, int, int], ...]:
        held = self._held(name)
        return tuple(
            (number, column.name, column.type_oid, column.type_modifier, held[lake].column_id)
            for number, (column, lake) in met.columns.items()
        )

    def _now(self, name: str) -> Evolution | None:
        """The table's shape before the stream has told of it."""
        note = self._notes.get(name)
        if note is None:
            return None
        columns = tuple(
            RelationColumn(n, oid, modifier, n == note.key) for _, n, oid, modifier, _ in note.columns
        )
        relation = Relation(note.relation_oid, note.schema_name, note.relation_name, "d", columns)
        facts = self._facts(relation)
        met = schema.follow(self._base(note), relation, _followed(note), _now(note, facts), self._held(name))
        return met if isinstance(met, Evolution) else None

    def _facts(self, relation: Relation) -> RelationFacts | None:
        with self._database.connection() as conn:
            return relations.facts(conn, relation.oid, [column.type_oid for column in relation.columns])

    def _held(self, name: str) -> dict[str, HeldColumn]:
        return {column: HeldColumn(*held) for column, held in self._lake.columns(name).items()}

    def _base(self, note: RelationNote) -> Table:
        registered = TABLES.get(note.table_name)
        return registered or schema.table_of(note.table_name, postgres_name=note.relation_name, key=note.key)


def park(database: Database, name: str, why: Parked) -> None:
    """Let a table rest until an operator has it copied."""
    _log.error("sync.parked", table=name, reason=why.reason, hint=why.hint)
    with database.connection() as conn:
        # Whatever it was before, it comes to this.
        state = next_state(None, TableEvent.FAILED)
        sync_tables.park(conn, name, state, error=why.reason, hint=why.hint)


def syncable(published: Iterable[PublishedTable]) -> list[PublishedTable]:
    """Those that have a place in the lake."""
    return [table for table in published if (table.schema, table.name) not in _NOT_SYNCED]


def lake_name(table: PublishedTable) -> str:
    """What the lake calls a published table: as PostgreSQL does, but where the registry says otherwise."""
    registered = _BY_POSTGRES_NAME.get(table.name)
    return registered.name if registered is not None and table.schema == SCHEMA else table.name


def _resume(name: str) -> str:
    return schema.RESUME.format(table=name)


def _followed(note: RelationNote) -> list[Followed]:
    return [Followed(*column) for column in note.columns]


def _now(note: RelationNote, facts: RelationFacts | None) -> Now:
    if facts is None:
        return Now((), {})
    attributes = tuple(
        Attribute(
            a.number, a.name, a.type_oid, a.type_modifier,
            dropped=a.dropped, published=a.published, missing=a.missing, given=a.given,
        )
        for a in facts.attributes
    )  # fmt: skip
    return Now(attributes, facts.types, rewritten=facts.filenode != note.filenode)


def _relation(source: PublishedTable, facts: RelationFacts, key: str) -> Relation:
    """A relation as the stream would tell of it now."""
    columns = tuple(
        RelationColumn(a.name, a.type_oid, a.type_modifier, a.name == key)
        for a in facts.attributes
        if a.published and not a.dropped
    )
    return Relation(source.oid, source.schema, source.name, "d", columns)
