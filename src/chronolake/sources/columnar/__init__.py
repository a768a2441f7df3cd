"""Common Crawl's columnar index: Parquet files that are read where they lie, by ranges.

`listing` says which files a crawl has, `footer` which of their row groups may hold what is asked, `wanted` what that
is; `outline` keeps what footers said between runs. `row_group` fetches the columns and keeps the rows that are wanted,
`source` makes pages of them.
"""

from chronolake.sources.columnar.outline import Outlines
from chronolake.sources.columnar.source import PER_MINUTE, CommonCrawlColumnar

__all__ = ["PER_MINUTE", "CommonCrawlColumnar", "Outlines"]
