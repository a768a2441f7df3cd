"""How the questions about pages are asked of both engines."""

ASKED = {
    "content_quality_distribution": [{}, {"project": "news"}, {"start": "2015"}, {"end": "1971"}],
}
