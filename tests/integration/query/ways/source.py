"""How the questions about archive sources are asked of both engines."""

ASKED = {
    "archive_sources_comparison": [
        {},
        {"project": "news"},
        {"start": "2011", "end": "2011"},
        {"end": "1960"},
    ],
    "source_status": [{}, {"project": "blogs"}, {"end": "2010"}],
    "source_attempts": [{}, {"project": "news"}, {"start": "2011", "end": "2011"}, {"end": "1960"}],
    "source_errors": [
        *({"interval": interval} for interval in ("day", "week", "month", "quarter", "year")),
        {"project": "blogs", "start": "2012"},
    ],
    "source_overlap": [{}, {"project": "news"}, {"start": "201101", "end": "201103"}, {"end": "1960"}],
    "source_trend": [
        *({"interval": interval} for interval in ("day", "week", "month", "quarter", "year")),
        {"project": "blogs", "start": "2012"},
    ],
}
