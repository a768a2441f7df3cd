"""How the questions about projects are asked of both engines."""

ASKED = {
    "project_performance": [
        *(
            {"project": "news", "interval": interval}
            for interval in ("day", "week", "month", "quarter", "year")
        ),
        {"project": "blogs", "start": "20120101", "end": "2012"},
    ],
    "project_summary": [{}, {"project": "news"}, {"project": "blogs"}],
    "captures_by_month": [
        {},
        {"interval": "week"},
        {"interval": "quarter", "project": "news"},
        {"start": "2016"},
    ],
    "project_mime": [{}, {"project": "news"}, {"start": "2012"}],
    "projects_comparison": [
        {"projects": "news,blogs"},
        {"projects": ["blogs"], "start": "2012", "end": "2014"},
        {"projects": "blogs, news", "end": "1960"},
    ],
    "project_content_quality": [
        {"project": "news"},
        {"project": "blogs", "start": "2012", "end": "2014"},
        {"project": "blogs", "end": "1960"},
    ],
    "scraping_efficiency": [
        {"project": "news"},
        {"project": "blogs", "start": "2012", "end": "2014"},
        {"project": "blogs", "end": "1960"},
    ],
    "duplicates": [
        {"project": "news"},
        {"project": "blogs", "limit": "7", "start": "2012"},
        {"project": "blogs", "end": "1960"},
    ],
}
