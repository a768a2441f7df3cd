"""DuckDB's errors in our words, and no secret in any of them."""

import duckdb
import pytest

from chronolake.errors import LakeBusy, LakeError, LakeUnavailable, SchemaMismatch, StorageFull
from chronolake.lake.failure import Scrubber, translate, translated

URL = "postgresql://me:s3cr3t@db.example:5432/archive"


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (duckdb.IOException('Could not write file "x.parquet": No space left on device'), StorageFull),
        (duckdb.TransactionException("Transaction conflict - attempting to alter table"), LakeBusy),
        (
            duckdb.TransactionException('Failed to commit: Failed to execute query "ROLLBACK": '),
            LakeUnavailable,
        ),
        (duckdb.ConstraintException("NOT NULL constraint failed: cdx_records.domain"), SchemaMismatch),
        (duckdb.IOException("server closed the connection unexpectedly"), LakeUnavailable),
    ],
)
def test_each_error_has_its_class(raised, ours):
    assert type(translate(raised, Scrubber(URL))) is ours


def test_out_of_memory_names_its_setting():
    error = translate(duckdb.OutOfMemoryException("failed to allocate data"), Scrubber(URL))
    assert type(error) is LakeError
    assert "DUCKDB_MEMORY_LIMIT" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        f'Unable to connect to Postgres at "{URL}": refused',
        "user=me password=s3cr3t host=db.example",
        "user=me password='s3cr3t' host=db.example",
        "postgres://other:s3cr3t@elsewhere/x",
        "the secret s3cr3t alone",
    ],
)
def test_no_secret_comes_through(text):
    assert "s3cr3t" not in Scrubber(URL)(text)


def test_an_address_without_a_password_hides_nothing_else():
    scrub = Scrubber("postgresql:///archive?host=/run/pg")
    assert scrub("connection to /run/pg failed") == "connection to /run/pg failed"


def test_the_cause_is_left_out():
    connection = duckdb.connect()
    with pytest.raises(LakeUnavailable) as caught, translated(Scrubber(URL)):
        connection.execute("SELECT * FROM nowhere")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
