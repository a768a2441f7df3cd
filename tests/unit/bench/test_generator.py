import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from chronolake.bench import captures, generator
from chronolake.bench.captures import EARLIEST, LATEST, REJECTED, Chunk, Damage, Run
from chronolake.bench.cdx_text import HEADER
from chronolake.bench.tables import SOURCES, tables_of
from chronolake.bench.world import NAME, World, mixed, ranks
from chronolake.capture import host, surt
from chronolake.capture.columns import CDX_RECORDS
from chronolake.capture.digest import EMPTY_BODY_SHA1
from chronolake.errors import InputError

ROWS = 20_000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.concat_tables(tables_of(Run(rows=ROWS, seed=7), range(1, 9), [1]))


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of a size that a quick test has many of."""
    monkeypatch.setattr(captures, "CHUNK_ROWS", 1000)
    monkeypatch.setattr(captures, "ROWS_PER_WARC", 500)


def lines_of(path: Path) -> list[bytes]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert text.startswith(HEADER)
    return text.removeprefix(HEADER).splitlines(keepends=True)


def drawn(run: Run) -> list[Chunk]:
    return list(run.chunks(World.build(run.seed, run.rows)))


@pytest.mark.parametrize("name", ["a.cdx", "a.cdx.gz", "a.parquet"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, small_chunks, name):
    written = []
    for folder in ("one", "two"):
        path = tmp_path / folder / name
        path.parent.mkdir()
        generator.write("parquet" if name.endswith("parquet") else "cdx", 3500, path, seed=3)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_another_seed_gives_other_captures(tmp_path):
    for seed in (1, 2):
        generator.write("cdx", 1000, tmp_path / f"{seed}.cdx", seed=seed)
    one, two = (set(lines_of(tmp_path / f"{seed}.cdx")) for seed in (1, 2))
    assert not one & two


def test_compressed_text_is_the_plain_text(tmp_path, small_chunks):
    generator.write("cdx", 2500, tmp_path / "a.cdx")
    generator.write("cdx", 2500, tmp_path / "a.cdx.gz")
    assert lines_of(tmp_path / "a.cdx") == lines_of(tmp_path / "a.cdx.gz")


def test_a_chunk_border_leaves_no_trace(tmp_path, small_chunks):
    report = generator.write("cdx", 2500, tmp_path / "a.cdx")
    assert len(lines_of(tmp_path / "a.cdx")) == report.rows == 2500
    assert [chunk.first_row for chunk in drawn(Run(rows=2500))] == [0, 1000, 2000]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.013, 0.5])
def test_exactly_the_share_that_was_asked_for_is_damaged(small_chunks, share):
    run = Run(rows=4321, corrupted_share=share)
    kinds = Counter(kind for chunk in drawn(run) for kind in chunk.damage.tolist())
    assert kinds.total() == int(4321 * share + 0.5) == run.damaged(Damage)
    assert all(kinds[what] == run.damaged([what]) for what in Damage)
    assert max(kinds.values(), default=0) - min((kinds[what] for what in Damage), default=0) <= 1


def test_damaged_lines_are_as_many_as_the_report_promises(tmp_path):
    report = generator.write("cdx", 6000, tmp_path / "a.cdx", corrupted_share=0.01)
    lines = lines_of(tmp_path / "a.cdx")
    assert (report.damaged, report.rejected, report.repaired, report.not_utf8) == (60, 30, 20, 10)
    whole = [line for line in lines if len(line.split(b" ")) == 11]
    assert len(lines) - len(whole) == 20
    stamps = [line.split(b" ")[1] for line in whole]
    assert sum(stamp[4:6] == b"00" for stamp in stamps) == 10
    assert sum(stamp[8:10] == b"40" for stamp in stamps) == 10
    assert sum(stamp[4:8] == b"1345" for stamp in stamps) == 10
    assert sum(b"caf\xe9" in line for line in whole) == 10


def test_tables_have_the_declared_columns_and_no_null_where_none_may_be(table):
    assert table.schema == CDX_RECORDS.arrow_schema
    assert all(not table[field.name].null_count for field in table.schema if not field.nullable)
    assert table.num_rows == ROWS


def test_text_and_table_tell_of_the_same_captures(tmp_path):
    generator.write("cdx", 3000, tmp_path / "a.cdx", corrupted_share=0.0)
    run = Run(rows=3000, corrupted_share=0.0)
    rows = pa.concat_tables(tables_of(run, range(1, 9), [1])).to_pylist()
    # Tables are sorted within a chunk; lines stand in the order of the crawl.
    rows.sort(key=lambda row: (row["warc_filename"], row["warc_record_offset"]))
    for line, row in zip(lines_of(tmp_path / "a.cdx"), rows, strict=True):
        key, stamp, url, mime, status, digest, redirect, _, length, offset, warc = line.decode().split()
        assert key == row["url_key"]
        assert stamp == f"{row['timestamp']:%Y%m%d%H%M%S}"
        assert (url, mime, digest, warc) == (
            row["url"],
            row["mime_type"],
            row["digest"],
            row["warc_filename"],
        )
        assert status == ("-" if row["status_code"] is None else str(row["status_code"]))
        assert redirect == (row["redirect_url"] or "-")
        assert (int(length), int(offset)) == (row["content_length"], row["warc_record_offset"])


def test_ids_are_unique_and_sort_by_time(table):
    ids = [value.bytes for value in table["id"].to_pylist()]
    assert len(set(ids)) == ROWS
    for one, instant in zip(ids, table["timestamp"].to_pylist(), strict=True):
        assert int.from_bytes(one[:6], "big") == int((instant.timestamp() - _utc_offset(instant)) * 1000)
        assert one[6] >> 4 == 8
        assert one[8] >> 6 == 2


def _utc_offset(instant) -> float:
    """Seconds that `timestamp()` takes off a naive instant, which is UTC here."""
    return instant.timestamp() - (instant - instant.min.replace(year=1970)).total_seconds()


def test_keys_and_domains_are_what_capture_finds_in_the_url(table):
    plain = table.filter(pc.is_null(table["raw_line"])).slice(0, 2000)
    for row in plain.select(["url", "url_key", "host", "domain", "registered_domain", "tld"]).to_pylist():
        assert row["url_key"] == surt.key(row["url"])
        found = host.of_name(row["host"])
        assert (found.registered_domain, found.private_domain, found.tld) == (
            row["registered_domain"],
            row["domain"],
            row["tld"],
        )


def test_everything_is_marked_as_generated(table):
    assert pc.all(pc.starts_with(table["registered_domain"], NAME)).as_py()
    assert pc.all(pc.starts_with(table["warc_filename"], "GENERATED-7-")).as_py()
    assert set(table["archive_source"].to_pylist()) == set(SOURCES)
    assert all(name.startswith("generated-") for name in SOURCES)


def test_a_few_domains_are_huge_and_most_are_sparse(table):
    counts = sorted((row["counts"] for row in table["domain"].value_counts().to_pylist()), reverse=True)
    assert counts[0] > ROWS * 0.05
    assert sum(counts[: len(counts) // 10]) > ROWS * 0.4
    assert counts[len(counts) // 2] < ROWS / len(counts)


def test_revisits_have_their_share_and_name_an_earlier_capture(table):
    revisits = table.filter(pc.equal(table["record_type"], "revisit"))
    assert abs(revisits.num_rows / ROWS - captures.REVISIT_SHARE) < 0.02
    assert revisits["status_code"].null_count == revisits.num_rows
    assert set(revisits["mime_type"].to_pylist()) == {"warc/revisit"}
    first: dict[tuple[str, str], object] = {}
    for row in table.filter(pc.equal(table["record_type"], "response")).to_pylist():
        known = (_page(row["url_key"]), row["digest"])
        first[known] = min(first.get(known, row["timestamp"]), row["timestamp"])
    for row in revisits.filter(pc.is_null(revisits["timestamp_raw"])).to_pylist():
        assert first[_page(row["url_key"]), row["digest"]] <= row["timestamp"]


def _page(key: str) -> str:
    """The key without what damage may have added to it."""
    return key.removesuffix("t=caf%e9").rstrip("?&")


def test_statuses_media_types_and_times_are_mixed_as_stated(table):
    answered = table.filter(pc.is_valid(table["status_code"]))
    statuses = Counter(answered["status_code"].to_pylist())
    for status, share in captures.STATUSES.items():
        assert abs(statuses[status] / answered.num_rows - share) < 0.01
    assert len(set(table["mime_type"].to_pylist())) >= 9
    seconds = table["timestamp"].cast(pa.int64()).to_numpy() // 1_000_000
    assert seconds.min() >= EARLIEST
    assert seconds.max() < LATEST
    years = Counter(instant.year for instant in table["timestamp"].to_pylist())
    assert set(years) == set(range(2015, 2025))
    assert years[2024] > years[2015]


def test_most_redirects_have_an_empty_body_and_nothing_else_has(table):
    redirects = pc.is_in(table["status_code"], value_set=pa.array([301, 302], pa.int32()))
    empty = pc.equal(table["digest"], EMPTY_BODY_SHA1)
    share = table.filter(pc.and_(redirects, empty)).num_rows / table.filter(redirects).num_rows
    assert abs(share - captures.EMPTY_REDIRECT_SHARE) < 0.03
    others = table.filter(pc.and_(pc.invert(pc.fill_null(redirects, False)), empty))
    assert set(others["record_type"].to_pylist()) == {"revisit"}


def test_content_length_is_log_normal(table):
    pages = table.filter(
        pc.and_(pc.equal(table["mime_type"], "text/html"), pc.equal(table["status_code"], 200))
    )
    logs = np.log(pages["content_length"].to_numpy() - 200)
    assert abs(logs.mean() - 9.3) < 0.05
    assert abs(logs.std() - 1.0) < 0.05


def test_records_lie_one_after_the_other_in_their_file(table):
    for name in set(table["warc_filename"].to_pylist()):
        rows = table.filter(pc.equal(table["warc_filename"], name))
        rows = rows.sort_by("warc_record_offset")
        offsets = rows["warc_record_offset"].to_numpy()
        assert offsets[0] == 0
        assert (np.diff(offsets) == rows["content_length"].to_numpy()[:-1]).all()


def test_tables_are_sorted_as_the_stores_like_them(table):
    assert table.equals(table.sort_by([("domain", "ascending"), ("timestamp", "ascending")]))


def test_sessions_are_bursts_on_one_domain():
    (chunk,) = drawn(Run(rows=ROWS, seed=7))
    own = np.flatnonzero(~chunk.revisit)
    same = chunk.domain[own][1:] == chunk.domain[own][:-1]
    assert same.mean() > 0.9
    assert np.median(np.abs(np.diff(chunk.seconds[own]))[same]) < 10


def test_recaptures_of_a_page_change_their_digest_in_time(table):
    by_page: dict[str, set[str]] = {}
    for row in table.select(["url_key", "digest", "status_code"]).to_pylist():
        if row["status_code"] == 200:
            by_page.setdefault(row["url_key"], set()).add(row["digest"])
    assert max(len(digests) for digests in by_page.values()) > 5


def test_parquet_holds_every_row_in_the_declared_columns(tmp_path):
    report = generator.write("parquet", 5000, tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.equals(CDX_RECORDS.arrow_schema)
    assert table.num_rows == 5000
    assert report.rejected == 0
    assert report.repaired == pc.sum(table["timestamp_repaired"]).as_py()
    assert report.not_utf8 == len(table["raw_line"]) - table["raw_line"].null_count
    assert report.bytes == (tmp_path / "a.parquet").stat().st_size


def test_what_a_reader_must_reject_is_whole_in_a_table():
    run = Run(rows=2000, corrupted_share=0.5)
    rows = pa.concat_tables(tables_of(run, range(1, 9), [1]))
    assert rows.num_rows == 2000
    assert rows["timestamp_raw"].null_count == 2000 - run.damaged(set(Damage) - REJECTED - {Damage.NOT_UTF8})


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(InputError) as error:
        generator.write("xml", 10, tmp_path / "a.xml")
    assert all(name in error.value.hint for name in generator.FORMATS)


def test_zipf_ranks_fall_as_the_law_says():
    uniform = (np.arange(200_000) + 0.5) / 200_000
    counts = np.bincount(ranks(uniform, 1000.0, 1.5), minlength=1000)
    assert counts.sum() == 200_000
    assert len(counts) == 1000
    # The continuous law puts 1 - 2^-0.5 of its mass before rank 1, less what lies beyond the last.
    assert abs(counts[0] / 200_000 - (1 - 2**-0.5) / (1 - 1000**-0.5)) < 1e-3
    assert (np.diff(counts[:50]) <= 0).all()


def test_scattering_loses_no_number():
    assert len(np.unique(mixed(np.arange(100_000, dtype=np.uint64)))) == 100_000


def test_items_come_out_in_order_and_an_error_comes_out():
    assert list(generator.ahead(lambda number: number * 2, range(7))) == [0, 2, 4, 6, 8, 10, 12]
    with pytest.raises(ZeroDivisionError):
        list(generator.ahead(lambda number: 1 // number, [1, 0, 1]))
