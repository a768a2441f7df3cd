"""Rows of an answer as columns: the Arrow schema that a question's row model stands for."""

import types
import typing
from datetime import date, datetime
from functools import cache
from typing import Any, Union

import pyarrow as pa

from chronolake.query.question.base import Row

_ARROW: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    date: pa.date32(),
    datetime: pa.timestamp("us"),
}


@cache
def arrow_schema(row: type[Row]) -> pa.Schema:
    """The columns of the row model, in order; a column is nullable where the model's field is.

    Raises:
        TypeError: a field is of a type that no column has.
    """
    return pa.schema([_field(row, name, typing.get_type_hints(row)[name]) for name in row.model_fields])


def _field(row: type[Row], name: str, annotation: Any) -> pa.Field:
    optional = typing.get_origin(annotation) in {Union, types.UnionType}
    kinds = (
        [kind for kind in typing.get_args(annotation) if kind is not type(None)] if optional else [annotation]
    )
    if len(kinds) != 1 or kinds[0] not in _ARROW:
        raise TypeError(f"{row.__name__}.{name}: no column holds {annotation}")
    return pa.field(name, _ARROW[kinds[0]], nullable=optional)
