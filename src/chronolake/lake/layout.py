"""The layouts as DuckLake knows them. Pure: partition expressions here, statements in `schema.py`."""

from chronolake.capture.columns import Table
from chronolake.settings import Layout

#: Buckets of the domain. At 50 million captures a bucket is one file of about 128 MB; fewer buckets would
#: skip less for a domain's question, more would make small files of small commits.
BUCKETS = 16


def layout_of(table: Table, layout: Layout) -> Layout:
    """How `table` lies in a lake of that layout: tables without the columns it needs have no partitions."""
    needed = {
        Layout.BUCKET: (table.bucket_by,),
        Layout.YEAR_MONTH: (table.time,),
        Layout.BUCKET_YEAR: (table.bucket_by, table.time),
        Layout.NONE: (),
    }[layout]
    return layout if all(needed) else Layout.NONE


def partition_expressions(table: Table, layout: Layout) -> tuple[str, ...]:
    """What the lake partitions `table` by, as DuckLake's partition transforms; empty for none."""
    return _partitions(table, layout, bucket=f'bucket({BUCKETS}, "{table.bucket_by}")')


def partition_keys(table: Table, layout: Layout, buckets: int = BUCKETS) -> tuple[str, ...]:
    """DuckDB expressions of the values that DuckLake's transforms give a row; empty for none."""
    return _partitions(table, layout, bucket=bucket_of(f'"{table.bucket_by}"', buckets))


def bucket_of(text: str, buckets: int = BUCKETS) -> str:
    """A DuckDB expression of the bucket that a text, itself an expression, falls into.

    The transform is Iceberg's: 32-bit Murmur3, its sign bit cleared, modulo the buckets.
    """
    return f"(murmur3_32({text}) & 2147483647) % {buckets}"


def _partitions(table: Table, layout: Layout, *, bucket: str) -> tuple[str, ...]:
    match layout_of(table, layout):
        case Layout.BUCKET:
            return (bucket,)
        case Layout.YEAR_MONTH:
            return (f'year("{table.time}")', f'month("{table.time}")')
        case Layout.BUCKET_YEAR:
            return (bucket, f'year("{table.time}")')
        case Layout.NONE:
            return ()


def partition_names(layout: Layout) -> tuple[str, ...]:
    """What DuckLake calls the folders of the partitions, one for each key."""
    return {
        Layout.BUCKET: ("bucket",),
        Layout.YEAR_MONTH: ("year", "month"),
        Layout.BUCKET_YEAR: ("bucket", "year"),
        Layout.NONE: (),
    }[layout]


def layout_named(transforms: tuple[str, ...]) -> Layout | None:
    """The layout whose partitions have these transforms, as the catalog spells them, or None."""
    kinds = tuple(transform.partition("(")[0] for transform in transforms)
    return {
        ("bucket",): Layout.BUCKET,
        ("year", "month"): Layout.YEAR_MONTH,
        ("bucket", "year"): Layout.BUCKET_YEAR,
        (): Layout.NONE,
    }.get(kinds)
