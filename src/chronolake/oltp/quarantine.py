"""The quarantine: lines that were not stored, with file, line number, reason and their bytes."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from chronolake.capture.record import Rejection
from chronolake.oltp.statements import statement

_COPY_TYPES = ["int8", "text", "int8", "text", "text", "bytea"]
#: Characters of a rejected line that a listing shows; the export has all of it.
_SHOWN = 200
_FETCHED = 1000


def add(conn: Connection, import_id: int, rejections: Sequence[Rejection]) -> None:
    """Keep rejected lines of an import."""
    if not rejections:
        return
    with conn.cursor() as cursor, cursor.copy(statement("quarantine_copy")) as copy:
        copy.set_types(_COPY_TYPES)
        for rejection in rejections:
            copy.write_row(
                (
                    import_id,
                    _text(rejection.file),
                    rejection.position,
                    rejection.reason.value,
                    _text(rejection.detail),
                    rejection.raw,
                )
            )


def listed(
    conn: Connection, *, limit: int, import_id: int | None = None, project: str | None = None
) -> list[dict[str, Any]]:
    r"""Rejected lines, newest import first: import_id, project, file, position, reason, detail, raw.

    `raw` is the beginning of the line as text; bytes that are not UTF-8 show as `\xe9`.
    """
    values = {"limit": limit, "import_id": import_id, "project": project}
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement("quarantine_listed"), values).fetchall()
    for row in rows:
        text = row["raw"][: _SHOWN * 4].decode(errors="backslashreplace")
        row["raw"] = text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
    return rows


def export(conn: Connection, *, import_id: int | None = None, project: str | None = None) -> Iterator[bytes]:
    """Every rejected line as a line of JSON, `raw` in base64; memory stays bounded whatever their number."""
    values = {"limit": None, "import_id": import_id, "project": project}
    with conn.cursor(name="quarantine_export", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(statement("quarantine_listed"), values)
        for row in cursor:
            row["raw"] = base64.b64encode(row["raw"]).decode()
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _text(value: str) -> str:
    # PostgreSQL's text holds no NUL, and no half of a surrogate pair.
    return value.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
