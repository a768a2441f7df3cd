"""What a table's new shape in PostgreSQL means for its lake table: statements, or why it cannot be followed.

Pure. The stream tells a relation's columns in order, by name and type, but not by number; PostgreSQL's catalog tells
the numbers, but as they are now, which may be later than the stream. `matched` brings both together, so that a rename
is told from a column that went and another that came. Where two stories explain what is seen, none is believed: the
table is parked, and copied once somebody asks for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from chronolake.capture.columns import Column, Table
from chronolake.sync import wire_text
from chronolake.sync.messages import Relation, RelationColumn


@dataclass(frozen=True)
class Attribute:
    """A column as PostgreSQL's catalog has it now.

    `missing` is what rows have that are older than the column, as text; `given` says that new rows get a value by
    themselves: a default, or an identity.
    """

    number: int
    name: str
    type_oid: int
    type_modifier: int
    dropped: bool = False
    published: bool = True
    missing: str | None = None
    given: bool = False


@dataclass(frozen=True)
class Followed:
    """A column that the lake follows: what the stream called it last, and DuckLake's number of the lake's column."""

    number: int
    name: str
    type_oid: int
    type_modifier: int
    column_id: int


@dataclass(frozen=True)
class HeldColumn:
    """A column as the lake holds it now; `column_id` stays through renames."""

    column_id: int
    kind: str


@dataclass(frozen=True)
class Now:
    """What PostgreSQL says of a relation now. `types` maps the oids of its own types to those they are sent as.

    `rewritten`: its rows were written anew since the sync looked last, as by a default that is computed for each row.
    """

    attributes: tuple[Attribute, ...]
    types: Mapping[int, int]
    rewritten: bool = False


@dataclass(frozen=True)
class Evolution:
    """How the lake table comes to a relation's shape.

    `statements` run in this order, in one lake commit. `table` is what rows are then decoded, folded and written by;
    `columns` names, by PostgreSQL's number, the column in the stream and the one in the lake; `fills` are the values
    of rows that are older than a column, as text.
    """

    statements: tuple[str, ...]
    table: Table
    columns: Mapping[int, tuple[RelationColumn, str]]
    fills: Mapping[int, str]
    types: Mapping[int, int]


@dataclass(frozen=True)
class Parked:
    """Why a table cannot be followed any more, and what an operator does about it."""

    reason: str
    hint: str


#: What the operator does once the cause is gone.
RESUME = "chronolake sync resume {table}"

_ARROW: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    26: pa.int64(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
    2950: pa.uuid(),
}
_BY_LAKE = {Column("", "", "", kind).lake: kind for kind in [*_ARROW.values(), pa.string()]}
_NUMERIC, _TEXT, _VARCHAR = 1700, 25, 1043
#: What the lake widens without touching a file.
_WIDER = {"SMALLINT": ("INTEGER", "BIGINT"), "INTEGER": ("BIGINT",), "FLOAT": ("DOUBLE",)}
_WIDER_OIDS = {(21, 23), (21, 20), (23, 20), (700, 701), (_VARCHAR, _TEXT)}
#: Types of which a greater modifier, or none, holds every value of a smaller one as it is.
_LENGTHENED = {_VARCHAR, 1083, 1114, 1184}
_KEY_TYPES = {pa.uuid(), pa.string(), pa.int16(), pa.int32(), pa.int64()}


def unpublished(table_name: str) -> Parked:
    """A table that PostgreSQL does not publish any more, or does not have."""
    return Parked(
        "the table left the publication or was dropped; the lake keeps what it held",
        f"ALTER PUBLICATION chronolake ADD TABLE {table_name}; then: {RESUME.format(table=table_name)}",
    )


def arrow_type(type_oid: int, types: Mapping[int, int]) -> pa.DataType | None:
    """The Arrow type of a PostgreSQL type; null where the lake has none.

    `numeric` is text: it has more digits than any number of the lake's, and `NaN` besides; cast it to compute with it.
    """
    base = types.get(type_oid, type_oid)
    if base in _ARROW:
        return _ARROW[base]
    return pa.string() if wire_text.can_render(base) else None


def table_of(name: str, *, postgres_name: str, key: str) -> Table:
    """A table that the registry does not declare, before its columns are known."""
    return Table(
        name=name,
        meaning=f"The table {postgres_name} of PostgreSQL.",
        columns=(),
        key=key,
        sort=(key,),
        postgres_table=postgres_name,
        project_by=None,
    )


def follow(
    table: Table, relation: Relation, known: Sequence[Followed], now: Now, held: Mapping[str, HeldColumn]
) -> Evolution | Parked:
    """How the lake table, which has the columns `held`, comes from `known` to the shape of `relation`.

    Where the lake has part of it already, as after a crash, only the rest is done.
    """
    numbers = matched(relation.columns, known, now.attributes)
    resume = RESUME.format(table=table.name)
    if numbers is None:
        return Parked(
            "its columns were changed in a way that the stream does not tell: one was dropped and another of its"
            " name added, or several were renamed at once",
            f"Copy the table anew: {resume}",
        )
    before = {column.number: column for column in known}
    for number, column in zip(numbers, relation.columns, strict=True):
        if number in before and not same_values(before[number], column, now.types):
            return Parked(
                f"column {column.name} changed its type, and its old values may be others now",
                f"Change it back, or copy the table anew: {resume}",
            )
    return _planned(table, relation, dict(zip(numbers, relation.columns, strict=True)), before, now, held)


def anew(
    table: Table, relation: Relation, now: Now, held: Mapping[str, HeldColumn], known: Sequence[Followed] = ()
) -> Evolution | Parked:
    """How the lake table comes to the shape of `relation` where all its rows are going to be copied."""
    numbers = {attribute.name: attribute.number for attribute in now.attributes if not attribute.dropped}
    columns = {numbers[column.name]: column for column in relation.columns}
    before = {column.number: column for column in known if column.number in columns}
    return _planned(table, relation, columns, before, now, held, copied=True)


def matched(
    columns: Sequence[RelationColumn], known: Sequence[Followed], attributes: Sequence[Attribute]
) -> list[int] | None:
    """PostgreSQL's number of each of a relation's columns; null where that is not certain.

    A relation tells its columns in the order of their numbers. What lives now and was known before must be among
    them; what was known and is dropped now may be; what is new came in the order of its number.
    """
    by_number = {attribute.number: attribute for attribute in attributes}
    old = {column.number: column for column in known}
    newest = max(old, default=0)
    new = [a for a in attributes if a.number > newest and (a.dropped or a.published)]
    # A column that was not published before may be by now.
    unpublished = [a for a in attributes if a.number <= newest and a.number not in old and a.published]
    ends = [newest, *(a.number for a in new)]
    found: dict[tuple[int, ...], int] = {}
    for end in ends:
        candidates = [
            _Candidate(
                number,
                old.get(number),
                by_number.get(number),
                must=_must(number, old, by_number, newest),
            )
            for number in sorted({*old, *(a.number for a in unpublished), *(a.number for a in new)})
            if number <= end
        ]
        for numbers, cost in _aligned(columns, candidates):
            found[numbers] = cost
    best = [numbers for numbers, cost in found.items() if cost == min(found.values())]
    return list(best[0]) if len(best) == 1 else None


def same_values(before: Followed, now: RelationColumn, types: Mapping[int, int]) -> bool:
    """Whether a column's old values are, as the lake holds them, the same in its new type."""
    old, new = (types.get(oid, oid) for oid in (before.type_oid, now.type_oid))
    least, most = before.type_modifier, now.type_modifier
    longer = most == -1 or 0 <= least <= most
    if old == new == _NUMERIC:
        # Precision above, scale below: another scale writes a number with other digits.
        return most == -1 or (0 <= least <= most and _scale(least) == _scale(most))
    if old == new:
        return least == most or (old in _LENGTHENED and longer)
    if (old, new) == (_TEXT, _VARCHAR):
        return most == -1
    return (old, new) in _WIDER_OIDS


def _scale(modifier: int) -> int:
    return (modifier - 4) & 0x7FF


@dataclass(frozen=True)
class _Candidate:
    """A column that a relation may have: as it was known, as it is now; `must`: it cannot be without it."""

    number: int
    known: Followed | None
    now: Attribute | None
    must: bool

    def cost(self, column: RelationColumn) -> int:
        """How much of what is told is neither as it was nor as it is."""
        living = self.now if self.now is not None and not self.now.dropped else None
        told = [one for one in (self.known, living) if one is not None]
        if not told:
            return 1
        name = all(one.name != column.name for one in told)
        return name + all(one.type_oid != column.type_oid for one in told)


def _must(number: int, old: Mapping[int, Followed], now: Mapping[int, Attribute], newest: int) -> bool:
    attribute = now.get(number)
    living = attribute is not None and not attribute.dropped and attribute.published
    return living and (number in old or number > newest)


def _aligned(
    columns: Sequence[RelationColumn], candidates: Sequence[_Candidate]
) -> list[tuple[tuple[int, ...], int]]:
    """The cheapest ways, at most two, to find the columns among the candidates, both in order."""
    ways: list[list[tuple[tuple[int, ...], int]]] = [[((), 0)], *([] for _ in columns)]
    for candidate in candidates:
        after: list[list[tuple[tuple[int, ...], int]]] = []
        for place in range(len(columns) + 1):
            found = [] if candidate.must else list(ways[place])
            if place:
                cost = candidate.cost(columns[place - 1])
                found += [((*numbers, candidate.number), paid + cost) for numbers, paid in ways[place - 1]]
            least = min((paid for _, paid in found), default=0)
            after.append([way for way in found if way[1] == least][:2])
        ways = after
    return ways[-1]


def _planned(
    table: Table,
    relation: Relation,
    columns: Mapping[int, RelationColumn],
    before: Mapping[int, Followed],
    now: Now,
    held: Mapping[str, HeldColumn],
    *,
    copied: bool = False,
) -> Evolution | Parked:
    names = {column.column_id: name for name, column in held.items()}
    was = {number: names[known.column_id] for number, known in before.items() if known.column_id in names}
    if refused := _refused(table, relation, columns, was, now, held, copied=copied):
        return refused
    attributes = {attribute.number: attribute for attribute in now.attributes}
    fills = {
        number: missing
        for number in columns
        if number in attributes and (missing := attributes[number].missing) is not None
    }
    own = {column.name for column in table.columns}
    kinds = {n: arrow_type(column.type_oid, now.types) or pa.string() for n, column in columns.items()}
    kept, added, altered = dict[str, str](), dict[str, str](), dict[str, str]()
    for number, column in columns.items():
        wanted = _lake_kind(kinds[number])
        # What nobody claims was made by a run that did not come to its end, or waits in the registry.
        unclaimed = column.name in held and column.name not in was.values()
        origin = was.get(number, column.name if unclaimed else None)
        has = held[origin].kind if origin is not None else None
        if origin is None or (copied and column.name not in own and not _fits(has, wanted)):
            added[column.name] = wanted + _default(fills.get(number), wanted)
            continue
        kept[origin] = column.name
        if has != wanted and has in _WIDER.get(wanted, ()):
            kinds[number] = _BY_LAKE[str(has)]
        elif has != wanted:
            altered[column.name] = wanted
    went = set(held) if copied else {name for number, name in was.items() if number not in columns}
    statements = _statements(
        table.name,
        gone=[name for name in held if name in went and name not in kept and name not in own],
        renamed={old: new for old, new in kept.items() if old != new},
        altered=altered,
        added=added,
    )
    if not held:
        statements = _created(table, added)
    return Evolution(
        statements=tuple(statements),
        table=_evolved(table, {columns[number].name: kind for number, kind in kinds.items()}),
        columns={number: (column, column.name) for number, column in columns.items()},
        fills=fills,
        types=now.types,
    )


def _refused(
    table: Table,
    relation: Relation,
    columns: Mapping[int, RelationColumn],
    was: Mapping[int, str],
    now: Now,
    held: Mapping[str, HeldColumn],
    *,
    copied: bool,
) -> Parked | None:
    """Why the lake cannot have this shape."""
    then = f"then: {RESUME.format(table=table.name)}"
    told = {column.name for column in columns.values()}
    stored = {column.name for column in table.stored}
    asked = stored if copied else stored & set(was.values())
    if missing := sorted(asked - told | {n for k, n in was.items() if n in stored and k not in columns}):
        return Parked(
            f"column {missing[0]}, which questions read, was dropped or renamed in PostgreSQL",
            f"Bring it back under its name, or upgrade chronolake; {then}",
        )
    key = next((column for column in columns.values() if column.name == table.key), None)
    if key is None or not key.is_key:
        return Parked(
            f"changes do not tell the key {table.key}",
            f"Let REPLICA IDENTITY of {relation.name} have the column {table.key}; {then}",
        )
    if arrow_type(key.type_oid, now.types) not in _KEY_TYPES:
        return Parked(
            f"the key {table.key} is neither a number nor a text nor a UUID", f"Change its type; {then}"
        )
    attributes = {attribute.number: attribute for attribute in now.attributes}
    derived = {column.name for column in table.columns if column.lake_only}
    # DuckDB knows no difference between upper and lower case in names.
    folded = [column.name.lower() for column in columns.values()]
    for number, column in columns.items():
        if column.name in derived or folded.count(column.name.lower()) > 1:
            return Parked(f"the lake has another column {column.name}", f"Give it another name; {then}")
        kind = arrow_type(column.type_oid, now.types)
        if kind is None:
            return Parked(
                f"the lake has no type for column {column.name}",
                f"Change its type, or leave it out of the publication's list of columns; {then}",
            )
        origin = was.get(number, column.name if column.name in held and column.name not in was.values() else None)
        may_be_made_anew = copied and column.name not in stored
        if origin is not None and not may_be_made_anew and not _fits(held[origin].kind, _lake_kind(kind)):
            return Parked(
                f"column {column.name} is {held[origin].kind} in the lake, which {_lake_kind(kind)} does not fit",
                f"Change its type back; {then}",
            )
        attribute = attributes.get(number)
        computed = attribute is not None and attribute.given and attribute.missing is None and now.rewritten
        if origin is None and computed and not copied:
            return Parked(
                f"column {column.name} was added with values that the stream does not tell",
                f"Copy the table anew: {RESUME.format(table=table.name)}",
            )
    return None


def _fits(has: str | None, wanted: str) -> bool:
    """Whether a lake column of type `has` can be one that takes values of type `wanted`."""
    return has == wanted or wanted in _WIDER.get(str(has), ()) or has in _WIDER.get(wanted, ())


def _lake_kind(kind: pa.DataType) -> str:
    return Column("", "", "", kind).lake


def _statements(
    table: str,
    *,
    gone: Iterable[str],
    renamed: Mapping[str, str],
    altered: Mapping[str, str],
    added: Mapping[str, str],
) -> list[str]:
    alter = f"ALTER TABLE {_quoted(table)}"
    # Over names that nobody has, for two columns may swap theirs.
    aside = {old: f"chronolake moves {number}" for number, old in enumerate(renamed)}
    return [
        *(f"{alter} DROP COLUMN {_quoted(name)}" for name in gone),
        *(f"{alter} RENAME COLUMN {_quoted(old)} TO {_quoted(aside[old])}" for old in renamed),
        *(f"{alter} RENAME COLUMN {_quoted(aside[old])} TO {_quoted(new)}" for old, new in renamed.items()),
        *(f"{alter} ALTER COLUMN {_quoted(name)} SET DATA TYPE {kind}" for name, kind in altered.items()),
        *(f"{alter} ADD COLUMN {_quoted(name)} {rest}" for name, rest in added.items()),
    ]


def _created(table: Table, added: Mapping[str, str]) -> list[str]:
    columns = ", ".join(f"{_quoted(name)} {rest}" for name, rest in added.items())
    order = ", ".join(f"{_quoted(name)} ASC NULLS LAST" for name in table.sort)
    return [
        f"CREATE TABLE {_quoted(table.name)} ({columns})",
        f"ALTER TABLE {_quoted(table.name)} SET SORTED BY ({order})",
    ]


def _default(missing: str | None, kind: str) -> str:
    """What files answer that are older than the column."""
    if missing is None:
        return ""
    if kind == "BLOB":
        # PostgreSQL marks all of it as hexadecimal, DuckDB each byte.
        missing = "".join(rf"\x{byte:02x}" for byte in bytes.fromhex(missing.removeprefix(r"\x")))
    return " DEFAULT '" + missing.replace("'", "''") + "'"


def _evolved(table: Table, kinds: Mapping[str, pa.DataType]) -> Table:
    """The table with the columns that PostgreSQL has beyond the registry, and types as wide."""
    declared = [
        replace(column, arrow=kinds.get(column.name, column.arrow)) if not column.lake_only else column
        for column in table.columns
    ]
    own = {column.name for column in declared}
    more = [
        Column(name, "as PostgreSQL has it", "", kind, since="") for name, kind in kinds.items() if name not in own
    ]
    return replace(table, columns=(*declared, *more))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
