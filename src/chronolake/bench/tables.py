"""Generated captures in the declared columns of `cdx_records`, as ingest would store their CDX lines.

Two things differ from what an ingest of the same captures gives: ids have the form and order of real ones,
but their last 74 bits are the capture's number, scattered, rather than a hash of its fields, since hashing
takes as long as everything else; and lines that ingest would reject are whole here.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chronolake.bench.captures import CHUNK_ROWS, REPAIRED, Chunk, Damage, Run
from chronolake.bench.texts import Texts, digits, strings, texts_of
from chronolake.bench.world import Ints, Words, World, mixed
from chronolake.capture.columns import CDX_RECORDS

#: Archive sources of generated captures; the first is the most frequent.
SOURCES = ("generated-wayback", "generated-commoncrawl", "generated-local")
#: Chunks that count as one ingest batch and go into one lake commit: each commit makes a file per partition,
#: so it should be large; its rows are sorted in memory, so it should not be huge. They are a million rows, as
#: many as an ingest carries at a time.
CHUNKS_PER_BATCH = 10


def batches_of(run: Run) -> int:
    """How many ingest batches the captures of `run` count as."""
    return -(-run.rows // (CHUNK_ROWS * CHUNKS_PER_BATCH))


def tables_of(run: Run, project_ids: Sequence[int], batch_ids: Sequence[int]) -> Iterator[pa.Table]:
    """The captures of `run` in sorted chunks, those of each batch with its number of `batch_ids`."""
    world = World.build(run.seed, run.rows)
    for place, chunk in enumerate(run.chunks(world)):
        batch_id = batch_ids[place // CHUNKS_PER_BATCH]
        yield table_of(chunk.sorted(), world, run.seed, project_ids=project_ids, batch_id=batch_id)


def table_of(chunk: Chunk, world: World, seed: int, *, project_ids: Sequence[int], batch_id: int) -> pa.Table:
    """The captures of `chunk` in its order, all of one batch.

    `project_ids` are the ids that stand for the chunk's project numbers.
    """
    count = len(chunk)
    texts = texts_of(chunk, world, seed)
    domain = pa.array(chunk.domain)
    repaired = np.isin(chunk.damage, [what.value for what in REPAIRED])
    domains = world.domains.take(domain)
    given = {
        "id": _ids(chunk.seconds, chunk.identity),
        "project_id": pa.array(np.array(list(project_ids), dtype=np.int32)[chunk.project]),
        "batch_id": pa.array(np.full(count, batch_id, dtype=np.int64)),
        "archive_source": pa.array(SOURCES).take(pa.array(chunk.source)),
        "url": texts.url,
        "url_key": texts.key,
        "host": texts.host,
        "domain": domains,
        "registered_domain": domains,
        "private_domain": domains,
        "tld": world.tlds.take(domain),
        "timestamp": pa.array(chunk.seconds * 1_000_000).view(pa.timestamp("us")),
        "timestamp_raw": _raw_timestamps(chunk, repaired),
        "timestamp_repaired": pa.array(_mask(count, chunk.damaged[repaired])),
        "record_type": pa.array(["response", "revisit"]).take(pa.array(chunk.revisit.astype(np.int8))),
        "status_code": pa.array(chunk.status.astype(np.int32), mask=chunk.revisit),
        "mime_type": texts.mime,
        "content_length": pa.array(chunk.length),
        "digest": texts.digest,
        "digest_algorithm": pa.repeat(pa.scalar("sha1"), count),
        "redirect_url": texts.redirect,
        "warc_filename": texts.warc,
        "warc_record_offset": pa.array(chunk.offset),
    } | _with_latin1(chunk, texts)
    schema = CDX_RECORDS.arrow_schema
    return pa.Table.from_arrays(
        [given.get(field.name, pa.nulls(count, field.type)) for field in schema], schema=schema
    )


def _ids(seconds: Ints, identity: Words) -> pa.Array:
    """UUIDs of version 8: 48 bits of milliseconds, then the capture's number, scattered."""
    count = len(seconds)
    ids = np.empty((count, 16), dtype=np.uint8)
    ids[:, 8:16] = identity.astype(">u8").view(np.uint8).reshape(count, 8)
    # The variant takes two bits of the number, so a second scattering fills the bits after the time.
    ids[:, 0:8] = mixed(identity).astype(">u8").view(np.uint8).reshape(count, 8)
    ids[:, 0:6] = (seconds * 1000).astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:8]
    ids[:, 6] = 0x80 | ids[:, 6] & 0x0F
    ids[:, 8] = 0x80 | ids[:, 8] & 0x3F
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(ids)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _mask(count: int, rows: Ints) -> npt.NDArray[np.bool_]:
    mask = np.zeros(count, dtype=bool)
    mask[rows] = True
    return mask


def _raw_timestamps(chunk: Chunk, repaired: npt.NDArray[np.bool_]) -> pa.StringArray:
    rows = chunk.damaged[repaired]
    raw = []
    for stamp, what in zip(
        strings(digits(chunk.seconds[rows])).to_pylist(), chunk.damage[repaired], strict=True
    ):
        inserted = what == Damage.INSERTED_ZEROS
        raw.append(stamp[:4] + "00" + stamp[4:12] if inserted else stamp[:8] + "40" + stamp[10:])
    return _at(len(chunk), rows, pa.array(raw, pa.string()))


def _with_latin1(chunk: Chunk, texts: Texts) -> dict[str, pa.Array]:
    """The URL columns with what became of bytes that are no UTF-8, and the lines that had them."""
    rows = chunk.damaged[chunk.damage == Damage.NOT_UTF8]
    taken = pa.array(rows)
    mask = pa.array(_mask(len(chunk), rows))
    columns = {}
    for name, column, escaped in (("url", texts.url, "%E9"), ("url_key", texts.key, "%e9")):
        value = [
            text + ("&" if "?" in text else "?") + "t=caf" + escaped
            for text in column.take(taken).to_pylist()
        ]
        columns[name] = pc.replace_with_mask(column, mask, pa.array(value, pa.string()))
    raw = [url.replace("%E9", "\xe9").encode("latin-1") for url in columns["url"].take(taken).to_pylist()]
    return columns | {"raw_line": _at(len(chunk), rows, pa.array(raw, pa.binary()))}


def _at(count: int, rows: Ints, values: pa.Array) -> pa.Array:
    """A column that has `values` at `rows` and null elsewhere."""
    return pc.replace_with_mask(pa.nulls(count, values.type), pa.array(_mask(count, rows)), values)
