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
}
