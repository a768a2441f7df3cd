"""Exports over HTTP: asked for, written by a worker, fetched in pieces, removed; never half of one."""

import asyncio
import io
from uuid import UUID, uuid4

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from chronolake.api.exports import MEDIA_TYPES, PATH
from chronolake.errors import ExportStopped, ExportUnknown
from chronolake.jobs.exporting import ExportFolder, ExportTask, surplus
from chronolake.oltp import exports
from chronolake.oltp.exports import Ended
from chronolake.query.export import Format

pytestmark = pytest.mark.anyio


async def work(services):
    await asyncio.to_thread(services.jobs.worker(once=True).step)


@pytest.fixture
def asked(client, services):
    """Ask for an export and have it written; its document."""

    async def ask(**body):
        answer = await client.post(PATH, json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] == "waiting"
        await work(services)
        return (await client.get(answer.headers["location"])).json()

    return ask


async def test_captures_of_a_domain_arrive_though_the_download_breaks_off(client, asked):
    done = await asked(what="captures", params={"domain": "host-1.com"}, format="parquet")
    assert (done["state"], done["rows"], done["share"], done["error"]) == ("done", 30, 1, None)
    assert done["as_of_lsn"]
    first = await client.get(done["file"], headers={"Range": "bytes=0-999"})
    assert (first.status_code, len(first.content)) == (206, 1000)
    assert first.headers["content-range"] == f"bytes 0-999/{done['bytes']}"
    tag = first.headers["etag"]
    rest = await client.get(done["file"], headers={"Range": "bytes=1000-", "If-Range": tag})
    assert rest.status_code == 206
    whole = await client.get(done["file"])
    assert (whole.status_code, whole.content) == (200, first.content + rest.content)
    assert pq.read_table(io.BytesIO(whole.content)).column("domain").unique().to_pylist() == ["host-1.com"]
    assert whole.headers["content-disposition"] == 'attachment; filename="captures.parquet"'
    assert whole.headers["accept-ranges"] == "bytes"
    # Of another file than the one that was begun, everything.
    other = await client.get(done["file"], headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert (await client.get(done["file"], headers={"Range": "bytes=9999999-"})).status_code == 416


async def test_a_question_in_every_format(client, asked):
    for format_ in Format:
        done = await asked(what="source_status", format=format_.value)
        assert done["state"] == "done", done
        answer = await client.get(done["file"])
        assert answer.headers["content-type"] == MEDIA_TYPES[format_]
        assert len(answer.content) == done["bytes"]
        if format_ is Format.CSV:
            assert pyarrow.csv.read_csv(io.BytesIO(answer.content)).num_rows == done["rows"] > 0


async def test_what_is_removed_is_gone_and_refusals_say_why(client, asked, services, problem):
    done = await asked(what="captures", format="csv")
    folder = ExportFolder(services.settings.exports).of(UUID(done["export_id"]))
    assert [path.name for path in folder.iterdir()] == ["1.csv"]
    where = f"{PATH}/{done['export_id']}"
    assert (await client.delete(where, headers={"Origin": "https://elsewhere.example"})).status_code == 403
    assert (await client.delete(where)).status_code == 204
    assert not folder.exists()
    problem(await client.get(done["file"]), 404)
    problem(await client.delete(where), 404)
    problem(await client.get(f"{PATH}/{uuid4()}"), 404)
    for odd in ("..%2f..%2fpostgres", "%2e%2e", "1.csv"):
        assert (await client.get(f"{PATH}/{odd}/file")).status_code in {404, 422}
    unknown = problem(await client.post(PATH, json={"what": "no_such_question"}), 404)
    assert unknown["type"].endswith("QuestionUnknown")
    problem(await client.post(PATH, json={"params": {"domian": "x.com"}}), 422)
    problem(await client.post(PATH, json={"format": "docx"}), 422)
    waiting = await client.post(PATH, json={})
    problem(await client.get(f"{waiting.headers['location']}/file"), 409)
    assert (await client.delete(waiting.headers["location"])).status_code == 204
    await work(services)


async def test_a_failure_is_told_and_leaves_no_file(client, asked, services):
    services.settings.exports.mkdir(parents=True, exist_ok=True)
    blocked = await client.post(PATH, json={"format": "csv"})
    export_id = blocked.json()["export_id"]
    (services.settings.exports / export_id).write_text("in the way")
    await work(services)
    failed = (await client.get(blocked.headers["location"])).json()
    assert (failed["state"], failed["error"]["type"], failed["file"]) == ("failed", "OutputError", None)
    (services.settings.exports / export_id).unlink()


async def test_a_run_that_is_not_wanted_any_more_ends_and_changes_nothing(services):
    export = services.jobs.exports.later("captures", {}, Format.CSV)
    with services.database.connection() as conn:
        slow = exports.claim(conn, export.export_id)
        newer = exports.claim(conn, export.export_id)
        assert (slow, newer) == (1, 2)
        assert not exports.progress(conn, export.export_id, slow, share=0.5, size=1)
        assert not exports.done(conn, export.export_id, slow, rows=1, size=1, as_of_lsn=None, lag_s=None)
        assert not exports.failed(conn, export.export_id, slow, None, again=False)
        assert exports.find(conn, export.export_id).state == "running"
    services.jobs.exports.remove(export.export_id)


#: Takes minutes, and no memory.
LONG = "SELECT sum(hash(a.range + b.range) % 7) FROM range(1000000) a, range(1000000) b"


@pytest.mark.parametrize("format_", [Format.CSV, Format.XLSX])
def test_a_stopped_export_ends_at_once(services, tmp_path, format_):
    looks = []
    with pytest.raises(ExportStopped):
        services.exporter._write(
            LONG,
            {},
            tmp_path / "long",
            lake=services.lake,
            format_=format_,
            on_progress=looks.append,
            stopped=lambda: len(looks) > 1,
        )
    assert len(looks) >= 2


def test_old_exports_go_and_so_does_what_nobody_knows(services):
    asked = services.jobs.exports.later("captures", {}, Format.CSV)
    services.jobs.worker(once=True).step()
    _, path = services.jobs.exports.file(asked.export_id)
    folder = services.settings.exports
    unknown = folder / str(uuid4())
    for made in (unknown, folder / "notes"):
        made.mkdir()
    task = ExportTask(database=services.database, exporter=services.exporter, settings=services.settings)
    assert task.tidy() == 0
    assert path.exists()
    assert not unknown.exists()
    with services.database.connection() as conn:
        conn.execute("UPDATE exports SET finished_at = finished_at - interval '80 hours'")
    assert task.tidy() >= 1
    with pytest.raises(ExportUnknown):
        services.jobs.exports.find(asked.export_id)
    assert [left.name for left in folder.iterdir()] == ["notes"]
    (folder / "notes").rmdir()


def test_beyond_the_room_that_there_is_the_oldest_go():
    new, middle, old, ancient = (uuid4() for _ in range(4))
    ended = [Ended(new, 90, False), Ended(middle, 20, False), Ended(old, 10, False), Ended(ancient, 0, True)]
    assert surplus(ended, 100) == [middle, ancient]
    assert surplus(ended, 50) == [middle, old, ancient]
    assert surplus(ended, 1000) == [ancient]
