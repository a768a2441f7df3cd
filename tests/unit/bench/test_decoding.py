"""What the decoding benchmark times is right: generated captures come out as they went in."""

from chronolake.bench.decoding import RELATION, captures, inserts
from chronolake.capture.columns import CDX_RECORDS
from chronolake.sync.tuples import decode_changes


def test_generated_captures_come_out_as_they_went_in():
    table = captures(3000)
    schema = CDX_RECORDS.arrow_schema
    read = decode_changes(RELATION, inserts(table), dict(zip(schema.names, schema.types, strict=True)))
    assert read.new.to_pylist() == table.to_pylist()
    assert not read.has_old.any()
