"""How the questions about archive sources are asked of both engines."""

ASKED = {
    "archive_sources_comparison": [
        {},
        {"project": "news"},
        {"start": "2011", "end": "2011"},
        {"end": "1960"},
    ],
    "source_status": [{}, {"project": "blogs"}, {"end": "2010"}],
}
