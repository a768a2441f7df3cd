"""`POST /api/v1/sql`: one SELECT of an analyst's own, answered as JSON, CSV or Arrow."""

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
from fastapi import APIRouter, Request, Response
from pyarrow import ipc
from pydantic import BaseModel, Field
from pydantic_core import to_json

from chronolake.api import problems
from chronolake.api.bodies import read_object
from chronolake.query import Answer, HybridQueryRouter, Meta, Scope
from chronolake.query.params import Params, read

PATH = "/api/v1/sql"
ARROW = "application/vnd.apache.arrow.stream"
#: Where an answer that has no envelope says where it comes from: the meta, as JSON in ASCII.
META_HEADER = "X-Chronolake-Meta"


class Form(StrEnum):
    """How the answer is written."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


class SqlRequest(Params):
    """One SELECT, and how its answer is wanted."""

    sql: str = Field(description="one SELECT over the lake's tables")
    limit: int | None = Field(default=None, ge=1, description="rows at most; the setting's by default")
    format: Form = Field(default=Form.JSON, description="json, csv or arrow (a stream)")


class SqlRows(BaseModel):
    """Rows of an SQL answer, and where they come from."""

    data: list[dict[str, Any]]
    meta: Meta


async def sql(request: Request) -> Response:
    """One read-only SELECT over the lake's tables, in a sandbox."""
    asked = read("sql", SqlRequest, await read_object(request))
    router: HybridQueryRouter = request.app.state.services.router
    # The API listens on loopback and knows no accounts yet: who can reach it may see everything.
    answer = await router.sql(
        asked.sql, scope=Scope.everything(), limit=asked.limit, as_table=asked.format is Form.ARROW
    )
    return _FORMS[asked.format](answer)


def _json(answer: Answer) -> Response:
    rows = [{name: _utc(value) for name, value in row.items()} for row in answer.rows]
    # What has no JSON form of its own is written as text, as an interval or bytes that are no text.
    body = to_json({"data": rows, "meta": answer.meta}, fallback=str, bytes_mode="hex", inf_nan_mode="null")
    return Response(body, media_type="application/json")


def _csv(answer: Answer) -> Response:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    if answer.rows:
        writer.writerow(answer.rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in answer.rows)
    return _with_meta(answer, sink.getvalue().encode(errors="replace"), "text/csv; charset=utf-8")


def _arrow(answer: Answer) -> Response:
    table = answer.table if answer.table is not None else pa.table({})
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return _with_meta(answer, bytes(sink.getvalue()), ARROW)


def _with_meta(answer: Answer, body: bytes, media_type: str) -> Response:
    meta = json.dumps(json.loads(answer.meta.model_dump_json()), ensure_ascii=True)
    return Response(body, media_type=media_type, headers={META_HEADER: meta})


def _utc(value: object) -> object:
    return value.isoformat() + "Z" if isinstance(value, datetime) and value.tzinfo is None else value


def _cell(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list):
        return to_json(value, fallback=str, bytes_mode="hex").decode()
    return _utc(value)


_FORMS: dict[Form, Callable[[Answer], Response]] = {Form.JSON: _json, Form.CSV: _csv, Form.ARROW: _arrow}


def routes() -> APIRouter:
    """The route of SQL."""
    router = APIRouter(tags=["analytics"], responses=problems.RESPONSES)
    router.add_api_route(
        PATH,
        sql,
        methods=["POST"],
        response_model=SqlRows,
        summary="One SELECT over the lake's tables",
        operation_id="sql",
        responses={200: {"content": {"text/csv": {}, ARROW: {}}}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SqlRequest.model_json_schema()}},
            }
        },
    )
    return router
