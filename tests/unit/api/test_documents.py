"""What is written without the models is what the models would write."""

import json
import typing
from datetime import UTC, date, datetime

import pytest

from chronolake.api.analytics import document, envelope
from chronolake.query import QUESTIONS, Answer, Engine, Meta
from chronolake.query.route import Reason

META = Meta(
    engine=Engine.DUCKDB,
    reason='the lake reads only the columns it needs: "captures", für é',
    as_of_lsn="0/1A2B3C8",
    as_of=datetime(2025, 6, 1, 12, 30, 0, 5, tzinfo=UTC),
    lag_s=0.25,
    rows_read=None,
    elapsed_ms=1.5,
    cached=True,
    rollups=["rollup_1"],
    notes=["rows_read is unknown"],
)
VALUES = {
    bool: [True, False],
    int: [0, -1, 2**63 - 1],
    float: [1.0, 0.1, 1e300, 1e-7, float("nan"), float("inf")],
    str: ["", '\u0000 \u2028 é 中 "', "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
    date: [date(1, 1, 1), date(2025, 6, 1)],
    datetime: [datetime(1, 1, 1), datetime(2025, 6, 1, 12, 30), datetime(9999, 12, 31, 23, 59, 59, 999999)],
}


def rows_of(question):
    """Rows that have every value of each column's type, null where it may be."""
    hints = typing.get_type_hints(question.row)
    kinds = {name: typing.get_args(hints[name]) or (hints[name],) for name in question.row.model_fields}
    most = max(map(len, VALUES.values())) + 1
    rows = []
    for place in range(most):
        row = {}
        for name, found in kinds.items():
            values = [value for kind in found for value in VALUES.get(kind, [None])]
            row[name] = values[place % len(values)]
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_written_as_its_model_would(name):
    question = QUESTIONS[name]
    answer = Answer(rows_of(question), META, Reason.CACHED)
    model = envelope(question).model_validate({"data": answer.rows, "meta": META})
    assert json.loads(document(answer)) == json.loads(model.model_dump_json())
