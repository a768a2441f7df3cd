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
    columns = dict(zip(numbers, relation.columns, strict=True))
    return _planned(_Change(table, columns, _held_as(before, held), now, held, copied=False))


def anew(table: Table, relation: Relation, now: Now, held: Mapping[str, HeldColumn]) -> Evolution | Parked:
    """How the lake table comes to the shape of `relation` where all its rows are going to be copied."""
    numbers = {attribute.name: attribute.number for attribute in now.attributes if not attribute.dropped}
    columns = {numbers[column.name]: column for column in relation.columns}
    return _planned(_Change(table, columns, {}, now, held, copied=True))


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
        found |= dict(_aligned(columns, candidates))
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


@dataclass(frozen=True)
class _Change:
    """What is to come of a lake table: the relation's columns by number, and what the lake called these before.

    `copied`: all rows are going to be written anew, so a column may begin anew too.
    """

    table: Table
    columns: Mapping[int, RelationColumn]
    was: Mapping[int, str]
    now: Now
    held: Mapping[str, HeldColumn]
    copied: bool

    @property
    def own(self) -> set[str]:
        """The columns that the registry declares."""
        return {column.name for column in self.table.columns}

    def kind(self, number: int) -> pa.DataType | None:
        """The Arrow type of a column; null where the lake has none."""
        return arrow_type(self.columns[number].type_oid, self.now.types)

    def attribute(self, number: int) -> Attribute | None:
        """What PostgreSQL says of a column now."""
        return next((one for one in self.now.attributes if one.number == number), None)

    def origin(self, number: int) -> str | None:
        """The lake's column that becomes this one; none where it is added."""
        name = self.columns[number].name
        # What nobody claims was made by a run that did not come to its end, or waits in the registry.
        unclaimed = name in self.held and name not in self.was.values()
        found = self.was.get(number, name if unclaimed else None)
        if found is not None and self.copied and name not in self.own:
            fits = _fits(self.held[found].kind, _lake_kind(self.kind(number) or pa.string()))
            return found if fits else None
        return found


def _held_as(before: Mapping[int, Followed], held: Mapping[str, HeldColumn]) -> dict[int, str]:
    """What the lake calls the columns that it follows."""
    names = {column.column_id: name for name, column in held.items()}
    return {number: names[known.column_id] for number, known in before.items() if known.column_id in names}


def _planned(change: _Change) -> Evolution | Parked:
    for rule in _RULES:
        if refused := rule(change):
            then = RESUME.format(table=change.table.name)
            return Parked(
                refused.reason, f"{refused.hint}; then: {then}" if refused.hint else f"Copy it: {then}"
            )
    held, table = change.held, change.table
    attributes = {number: change.attribute(number) for number in change.columns}
    fills = {n: one.missing for n, one in attributes.items() if one is not None and one.missing is not None}
    kinds = {number: change.kind(number) or pa.string() for number in change.columns}
    kept, added, altered = dict[str, str](), dict[str, str](), dict[str, str]()
    for number, column in change.columns.items():
        wanted, origin = _lake_kind(kinds[number]), change.origin(number)
        if origin is None:
            added[column.name] = wanted + _default(fills.get(number), wanted)
            continue
        kept[origin] = column.name
        has = held[origin].kind
        if has != wanted and has in _WIDER.get(wanted, ()):
            kinds[number] = _BY_LAKE[has]
        elif has != wanted:
            altered[column.name] = wanted
    left = {name for number, name in change.was.items() if number not in change.columns}
    went = set(held) if change.copied else left
    statements = _statements(
        table.name,
        gone=[name for name in held if name in went and name not in kept and name not in change.own],
        renamed={old: new for old, new in kept.items() if old != new},
        altered=altered,
        added=added,
    )
    return Evolution(
        statements=tuple(statements if held else _created(table, added)),
        table=_evolved(table, {change.columns[number].name: kind for number, kind in kinds.items()}),
        columns={number: (column, column.name) for number, column in change.columns.items()},
        fills=fills,
        types=change.now.types,
    )


# Each says why the lake cannot have a shape, and what to do about it; none leans on another.


def _keeps_what_questions_read(change: _Change) -> Parked | None:
    told = {column.name for column in change.columns.values()}
    stored = {column.name for column in change.table.stored}
    asked = stored if change.copied else stored & set(change.was.values())
    left = {name for number, name in change.was.items() if number not in change.columns}
    if missing := sorted(asked - told | stored & left):
        return Parked(
            f"column {missing[0]}, which questions read, was dropped or renamed in PostgreSQL",
            "Bring it back under its name, or upgrade chronolake",
        )
    return None


def _tells_its_key(change: _Change) -> Parked | None:
    name = change.table.key
    number = next((n for n, column in change.columns.items() if column.name == name), None)
    if number is None or not change.columns[number].is_key:
        return Parked(
            f"changes do not tell the key {name}", f"Let the REPLICA IDENTITY have the column {name}"
        )
    if change.kind(number) not in _KEY_TYPES:
        return Parked(f"the key {name} is neither a number nor a text nor a UUID", "Change its type")
    return None


def _has_names_of_its_own(change: _Change) -> Parked | None:
    derived = {column.name for column in change.table.columns if column.lake_only}
    # DuckDB knows no difference between upper and lower case in names.
    folded = [column.name.lower() for column in change.columns.values()]
    for column in change.columns.values():
        if column.name.lower() in derived or folded.count(column.name.lower()) > 1:
            return Parked(f"the lake has another column {column.name}", f"Rename {column.name}")
    return None


def _has_types_of_the_lake(change: _Change) -> Parked | None:
    for number, column in change.columns.items():
        kind, origin = change.kind(number), change.origin(number)
        if kind is None:
            return Parked(
                f"the lake has no type for column {column.name}",
                "Change its type, or leave it out of the publication's list of columns",
            )
        if origin is not None and not _fits(change.held[origin].kind, _lake_kind(kind)):
            has = change.held[origin].kind
            return Parked(
                f"column {column.name} is {has} in the lake, which {_lake_kind(kind)} does not fit",
                "Change its type back",
            )
    return None


def _has_values_that_are_told(change: _Change) -> Parked | None:
    for number, column in change.columns.items():
        attribute = change.attribute(number)
        computed = attribute is not None and attribute.given and attribute.missing is None
        if computed and change.now.rewritten and not change.copied and change.origin(number) is None:
            return Parked(f"column {column.name} was added with values that the stream does not tell", "")
    return None


_RULES = (
    _keeps_what_questions_read,
    _tells_its_key,
    _has_names_of_its_own,
    _has_types_of_the_lake,
    _has_values_that_are_told,
)


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
        Column(name, "as PostgreSQL has it", "", kind, since="")
        for name, kind in kinds.items()
        if name not in own
    ]
    return replace(table, columns=(*declared, *more))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
