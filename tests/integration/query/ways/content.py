"""How the questions about pages are asked of both engines."""

ASKED = {
    "content_quality_distribution": [{}, {"project": "news"}, {"start": "2015"}, {"end": "1971"}],
    "languages": [{}, {"project": "news"}, {"start": "2015", "limit": "2"}, {"end": "1960"}],
    "charsets": [{}, {"project": "news"}, {"start": "2015", "limit": "2"}, {"end": "1960"}],
    "mime_mismatch": [
        *[{}, {"project": "news"}, {"start": "2015", "limit": "2"}, {"end": "1960"}],
        {"limit": "10000"},
    ],
    "extraction_performance": [{}, {"project": "news"}, {"start": "2015"}, {"end": "1960"}],
    "word_counts": [
        *({"interval": interval} for interval in ("day", "week", "month", "quarter", "year")),
        {"project": "blogs", "start": "2012"},
    ],
}
