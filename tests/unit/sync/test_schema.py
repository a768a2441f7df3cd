"""What a new shape means for the lake table, decided without any server."""

import pytest

from chronolake.capture.columns import SEARCH_HISTORY
from chronolake.sync import schema
from chronolake.sync.messages import Relation, RelationColumn
from chronolake.sync.schema import Attribute, Evolution, Followed, HeldColumn, Now, Parked

INT, BIG, TEXT = 23, 20, 25
TABLE = schema.table_of("notes", postgres_name="notes", key="id")


def relation(*columns):
    return Relation(
        1, "public", "notes", "d", tuple(RelationColumn(n, oid, -1, n == "id") for n, oid in columns)
    )


def known(*columns):
    return [Followed(number, name, oid, -1, number * 10) for number, name, oid in columns]


def now(*attributes, rewritten=False):
    """Columns (number, name, type), a dropped one by its number alone."""
    return Now(
        tuple(
            Attribute(
                number,
                *((rest[0], rest[1], -1) if rest else ("gone", 0, -1)),
                dropped=not rest,
                published=bool(rest),
            )
            for number, *rest in attributes
        ),
        {},
        rewritten=rewritten,
    )


def held(**columns):
    return {name: HeldColumn(*column) for name, column in columns.items()}


BEFORE = known((1, "id", BIG), (2, "a", INT), (3, "b", TEXT))
LAKE = held(id=(10, "BIGINT"), a=(20, "INTEGER"), b=(30, "VARCHAR"))


def statements(columns, attributes, before=BEFORE, lake=LAKE):
    met = schema.follow(TABLE, relation(*columns), before, attributes, lake)
    assert isinstance(met, Evolution), met
    return [statement.removeprefix('ALTER TABLE "notes" ') for statement in met.statements]


def test_the_same_shape_is_nothing():
    columns = [("id", BIG), ("a", INT), ("b", TEXT)]
    assert statements(columns, now((1, "id", BIG), (2, "a", INT), (3, "b", TEXT))) == []


def test_the_same_shape_is_nothing_where_the_catalog_is_ahead_or_gone():
    columns = [("id", BIG), ("a", INT), ("b", TEXT)]
    assert statements(columns, now((1, "id", BIG), (2, "x", BIG), (3,), (4, "c", INT))) == []
    assert statements(columns, now()) == []


def test_a_rename_is_told_from_a_drop_and_an_addition():
    columns = [("id", BIG), ("c", INT), ("b", TEXT)]
    assert statements(columns, now((1, "id", BIG), (2, "c", INT), (3, "b", TEXT))) == [
        'RENAME COLUMN "a" TO "chronolake moves 0"',
        'RENAME COLUMN "chronolake moves 0" TO "c"',
    ]
    columns = [("id", BIG), ("b", TEXT), ("c", INT)]
    assert statements(columns, now((1, "id", BIG), (2,), (3, "b", TEXT), (4, "c", INT))) == [
        'DROP COLUMN "a"',
        'ADD COLUMN "c" INTEGER',
    ]


def test_a_column_that_was_renamed_twice_is_followed_step_by_step():
    columns = [("id", BIG), ("between", INT), ("b", TEXT)]
    assert 'TO "between"' in statements(columns, now((1, "id", BIG), (2, "last", INT), (3, "b", TEXT)))[1]


def test_what_a_crash_left_done_is_not_done_again():
    columns = [("id", BIG), ("c", INT), ("d", TEXT)]
    attributes = now((1, "id", BIG), (2, "c", INT), (3,), (4, "d", TEXT))
    done = held(id=(10, "BIGINT"), c=(20, "INTEGER"), d=(40, "VARCHAR"))
    assert statements(columns, attributes, lake=done) == []


def test_one_dropped_and_another_of_its_name_added_cannot_be_told():
    columns = [("id", BIG), ("a", INT)]
    met = schema.follow(
        TABLE, relation(*columns), BEFORE[:2], now((1, "id", BIG), (2,), (3, "a", INT)), held(id=(10, "BIGINT"), a=(20, "INTEGER"))
    )  # fmt: skip
    assert isinstance(met, Parked)


def test_a_default_is_what_older_files_answer():
    columns = [("id", BIG), ("a", INT), ("b", TEXT), ("c", TEXT)]
    attributes = now((1, "id", BIG), (2, "a", INT), (3, "b", TEXT)).attributes
    added = Attribute(4, "c", TEXT, -1, missing="it's", given=True)
    assert statements(columns, Now((*attributes, added), {})) == ["ADD COLUMN \"c\" VARCHAR DEFAULT 'it''s'"]


def test_values_that_were_computed_are_not_guessed():
    columns = [("id", BIG), ("a", INT), ("b", TEXT), ("c", TEXT)]
    attributes = (
        *now((1, "id", BIG), (2, "a", INT), (3, "b", TEXT)).attributes,
        Attribute(4, "c", TEXT, -1, given=True),
    )
    met = schema.follow(TABLE, relation(*columns), BEFORE, Now(attributes, {}, rewritten=True), LAKE)
    assert isinstance(met, Parked)
    assert statements(columns, Now(attributes, {})) == ['ADD COLUMN "c" VARCHAR']


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ((23, -1), (20, -1), True),
        ((20, -1), (23, -1), False),
        ((700, -1), (701, -1), True),
        ((1043, 7), (1043, 13), True),
        ((1043, 13), (1043, 7), False),
        ((1043, 7), (25, -1), True),
        ((25, -1), (1043, 7), False),
        ((25, -1), (23, -1), False),
        ((1042, 7), (25, -1), False),
        ((1114, -1), (1184, -1), False),
        ((1700, (4 << 16 | 1) + 4), (1700, (9 << 16 | 1) + 4), True),
        ((1700, (4 << 16 | 1) + 4), (1700, (9 << 16 | 2) + 4), False),
        ((1700, (4 << 16 | 1) + 4), (1700, -1), True),
        ((1700, -1), (1700, (9 << 16 | 2) + 4), False),
        ((99999, -1), (25, -1), True),
    ],
)
def test_types_whose_old_values_stay(old, new, same):
    column = RelationColumn("c", *new, is_key=False)
    assert schema.same_values(Followed(1, "c", *old, 1), column, {99999: 25}) is same


def test_a_registry_column_that_goes_parks_its_table():
    columns = [(n, c.name, BIG) for n, c in enumerate(SEARCH_HISTORY.stored, 1)]
    lake = {c.name: HeldColumn(n * 10, c.lake) for n, c in enumerate(SEARCH_HISTORY.columns, 1)}
    without = [(name, oid) for _, name, oid in columns if name != "engine"]
    attributes = now(*[(n, name, oid) if name != "engine" else (n,) for n, name, oid in columns])
    met = schema.follow(SEARCH_HISTORY, relation(*without), known(*columns), attributes, lake)
    assert isinstance(met, Parked)
    assert "engine" in met.reason
