"""What comes back: rows, and where they come from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from chronolake.query.json_rows import JsonRows
from chronolake.query.route import Engine, Reason


class Meta(BaseModel):
    """Where an answer comes from, why from there, and how fresh it is; `notes` say why something is null."""

    model_config = ConfigDict(frozen=True)

    engine: Engine
    reason: str = Field(description="why this engine")
    as_of_lsn: str | None = Field(
        description="the answer holds everything that was committed before this LSN"
    )
    as_of: datetime | None = Field(description="the instant that this was true at, UTC")
    lag_s: float | None = Field(description="seconds that the answer is behind PostgreSQL")
    rows_read: int | None = Field(description="rows that the engine read")
    elapsed_ms: float = Field(description="milliseconds from the question to the last row")
    cached: bool = Field(description="whether the answer comes from the result cache")
    rollups: list[str] = Field(default_factory=list, description="the rollups that it was read from")
    truncated: bool = Field(default=False, description="whether there were more rows than the limit")
    notes: list[str] = Field(default_factory=list, description="why something is null or cut")


@dataclass(frozen=True)
class Answer:
    """Rows as mappings, or the same as a table or as JSON where that was asked for, and where they come from.

    `code` is short for the reason that `meta` has in words. Where there is a table or JSON, `rows` may be empty.
    """

    rows: list[dict[str, Any]]
    meta: Meta
    code: Reason
    table: pa.Table | None = None
    json: JsonRows | None = None

    @property
    def count(self) -> int:
        """How many rows there are, in whichever form."""
        if self.table is not None:
            return int(self.table.num_rows)
        return len(self.rows) if self.json is None else self.json.count
