"""The lake's tables made to agree with the registry: created where missing, widened where older.

What the lake has and the registry has not is newer code's work: it is left alone, and readers do not mind it.
`plan` decides and is pure; the lake runs what it decides.
"""

from collections.abc import Mapping

from chronolake.capture.columns import Column, Table
from chronolake.errors import SchemaMismatch
from chronolake.lake.layout import partition_expressions
from chronolake.settings import Layout

#: Types that DuckLake widens without touching a file.
_WIDER = {
    "SMALLINT": ("INTEGER", "BIGINT"),
    "INTEGER": ("BIGINT",),
    "FLOAT": ("DOUBLE",),
}


def plan(tables: Mapping[str, Table], present: Mapping[str, Mapping[str, str]], layout: Layout) -> list[str]:
    """The statements, in order, that bring the lake to the registry; none where it agrees.

    `present` holds the type of every column of every table the lake has. A table that exists keeps
    its layout.

    Raises:
        SchemaMismatch: a column's type in the lake is neither the declared one nor of its family.
    """
    statements = []
    for name, table in tables.items():
        if name in present:
            statements += _evolve(table, present[name])
        else:
            statements += created(table, layout)
    return statements


def created(table: Table, layout: Layout) -> list[str]:
    """The statements that make a table the lake has not."""
    columns = ", ".join(
        f'"{column.name}" {column.lake}{"" if column.nullable else " NOT NULL"}' for column in table.columns
    )
    order = ", ".join(f'"{name}" ASC NULLS LAST' for name in table.sort)
    statements = [
        f"CREATE TABLE {table.name} ({columns})",
        f"ALTER TABLE {table.name} SET SORTED BY ({order})",
    ]
    return statements + (relaid(table, layout) if partition_expressions(table, layout) else [])


def relaid(table: Table, layout: Layout) -> list[str]:
    """The statements that let new and merged files of a table lie otherwise."""
    partitions = partition_expressions(table, layout)
    if not partitions:
        return [f"ALTER TABLE {table.name} RESET PARTITIONED BY"]
    return [f"ALTER TABLE {table.name} SET PARTITIONED BY ({', '.join(partitions)})"]


def _evolve(table: Table, present: Mapping[str, str]) -> list[str]:
    statements = []
    for column in table.columns:
        if column.name not in present:
            # Old files answer null, so the lake cannot promise that there is none.
            statements.append(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {column.lake}')
        elif column.lake in _WIDER.get(present[column.name], ()):
            statements.append(
                f'ALTER TABLE {table.name} ALTER COLUMN "{column.name}" SET DATA TYPE {column.lake}'
            )
        else:
            _check(table, column, present[column.name])
    return statements


def _check(table: Table, column: Column, found: str) -> None:
    # Wider than declared is newer code's doing, and takes what we write.
    if found != column.lake and found not in _WIDER.get(column.lake, ()):
        raise SchemaMismatch(
            f"{table.name}.{column.name} is {found} in the lake, declared {column.lake}",
            hint="The lake was made by another version; upgrade chronolake.",
            table=table.name,
            column=column.name,
        )
