"""`POST /api/v1/sql`: what it answers in each form, and how it refuses."""

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronolake.api.sql import ARROW, META_HEADER, PATH
from chronolake.query import Scope

pytestmark = pytest.mark.anyio
COUNTED = (
    "SELECT domain, count(*) AS captures, min(timestamp) AS first FROM cdx_records GROUP BY 1 ORDER BY 1"
)
ODD = (
    "SELECT sum(warc_record_offset) AS huge, 1.5::DECIMAL(5,2) AS decimal, INTERVAL 90 MINUTE AS span,"
    " '\\xFF'::BLOB AS bytes, [1, 2] AS list, {'a': NULL} AS struct, 'NaN'::DOUBLE AS nan, 'a\"b,c' AS text"
    " FROM cdx_records"
)


async def test_json_has_the_envelope(client):
    answer = await client.post(PATH, json={"sql": COUNTED})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"data", "meta"}
    assert [row["captures"] for row in body["data"]] == [30] * 4
    assert body["data"][0]["first"].endswith("Z")
    assert (body["meta"]["engine"], body["meta"]["truncated"]) == ("duckdb", False)


async def test_csv_and_arrow_say_where_they_come_from_in_a_header(client):
    wanted = (await client.post(PATH, json={"sql": COUNTED})).json()["data"]
    answer = await client.post(PATH, json={"sql": COUNTED, "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {name: str(value) for name, value in row.items()} for row in wanted
    ]
    assert json.loads(answer.headers[META_HEADER])["engine"] == "duckdb"
    answer = await client.post(PATH, json={"sql": COUNTED, "format": "arrow"})
    assert answer.headers["content-type"] == ARROW
    with pa.ipc.open_stream(answer.content) as reader:
        table = reader.read_all()
    assert table.column("captures").to_pylist() == [30] * 4
    assert table.schema.field("first").type == pa.timestamp("us")
    assert json.loads(answer.headers[META_HEADER])["as_of_lsn"]


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
async def test_values_of_every_kind_are_said(client, form):
    answer = await client.post(PATH, json={"sql": ODD, "format": form})
    assert answer.status_code == 200, answer.text
    if form == "json":
        [row] = answer.json()["data"]
        assert row["huge"] == sum(range(120))
        assert (row["bytes"], row["list"], row["nan"], row["text"]) == ("ff", [1, 2], None, 'a"b,c')


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
async def test_it_is_cut_by_rows_and_says_so(client, form):
    answer = await client.post(PATH, json={"sql": "SELECT url FROM cdx_records", "limit": 7, "format": form})
    meta = answer.json()["meta"] if form == "json" else json.loads(answer.headers[META_HEADER])
    assert meta["truncated"]
    assert any("7 rows" in note for note in meta["notes"])


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
async def test_it_is_cut_by_bytes_and_says_so(services, make_settings, form):
    few = make_settings(CHRONOLAKE_QUERY_MAX_BYTES=5000)
    router = type(services.router)(database=services.database, lake=services.lake, settings=few)
    found = await router.sql(
        "SELECT repeat('x', 100) AS x FROM cdx_records", scope=Scope.everything(), as_table=form == "arrow"
    )
    router.close()
    assert found.meta.truncated
    assert any("5000 bytes" in note for note in found.meta.notes)
    count = found.table.num_rows if form == "arrow" else len(found.rows)
    assert count * 100 <= 5000


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"sql": "DROP TABLE cdx_records"}, 422, "SELECT"),
        ({"sql": "SELECT * FROM read_text('/etc/passwd')"}, 422, "read_text"),
        ({"sql": "SELECT 1; SELECT 2"}, 422, "one"),
        ({"sql": "SELEC"}, 422, ""),
        ({}, 422, "sql"),
        ({"sql": 7}, 422, "sql"),
        ({"sql": "SELECT 1", "format": "xml"}, 422, "format"),
        ({"sql": "SELECT 1", "limit": 0}, 422, "limit"),
        ({"sql": "SELECT 1", "scope": "all"}, 422, "scope"),
    ],
)
async def test_what_is_no_honest_question_is_refused(client, problem, body, status, word):
    found = problem(await client.post(PATH, json=body), status)
    assert word.lower() in found["detail"].lower()
    assert found["hint"]


async def test_a_body_too_large_is_not_read_to_its_end(client):
    answer = await client.post(PATH, content=b'{"sql": "SELECT 1' + b" " * 100_000 + b'"}')
    assert answer.status_code == 413


@given(st.text(max_size=200))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_makes_the_server_fail(client, text):
    answer = await client.post(PATH, json={"sql": text})
    assert answer.status_code in {200, 422}, answer.text
