"""How the questions about domains are asked of both engines."""

ASKED = {
    "domain_timeline": [
        *(
            {"domain": "host-3.example", "interval": interval}
            for interval in ("hour", "day", "week", "month", "quarter", "year")
        ),
        {"domain": "host-3.example", "start": "2011", "end": "2014"},
        {"domain": "host-3.example", "project": "blogs", "interval": "year"},
        {"domain": "165.22.100.0", "interval": "year"},
        {"domain": "nowhere.example"},
    ],
    "domain_statistics": [
        {"domain": "host-3.example"},
        {"domain": "165.22.100.0", "project": "news", "start": "2012"},
        {"domain": "nowhere.example"},
    ],
    "domain_hosts": [
        {"domain": "host-3.example"},
        {"domain": "host-7.example", "end": "2012", "limit": "2"},
        {"domain": "nowhere.example"},
    ],
    "growth": [
        *({"domain": "host-3.example", "interval": interval} for interval in ("day", "quarter", "year")),
        {"domain": "host-3.example", "start": "20130615"},
        {"domain": "host-3.example", "project": "blogs", "start": "2012", "end": "2015", "interval": "week"},
        {"domain": "nowhere.example"},
    ],
    "cadence": [
        {"domain": "host-3.example"},
        {"domain": "host-3.example", "project": "news", "end": "2012"},
        {"domain": "host-3.example", "end": "1960"},
        {"domain": "nowhere.example"},
    ],
    "coverage": [
        *(
            {"domain": "host-3.example", "interval": interval, "start": "2010", "end": "2013"}
            for interval in ("day", "week", "month", "quarter", "year")
        ),
        {"domain": "host-3.example"},
        {"domain": "165.22.100.0", "project": "news", "limit": "7"},
        {"domain": "nowhere.example"},
    ],
    "coverage_gaps": [
        {"domain": "host-3.example"},
        {"domain": "host-3.example", "min_days": "1", "limit": "10000"},
        {"domain": "host-3.example", "min_days": "36500"},
        {"domain": "host-9.example", "project": "blogs", "start": "2011", "min_days": "7", "limit": "3"},
        {"domain": "nowhere.example"},
    ],
    "top_domains": [
        {},
        {"limit": "3"},
        {"limit": "10000", "project": "news"},
        {"start": "2014", "end": "2014"},
        *({"by": by} for by in ("captures", "urls", "bytes", "success_rate")),
        {"by": "urls", "limit": "3", "start": "2011", "end": "2011"},
        {"by": "success_rate", "limit": "10000", "start": "201101", "end": "201101"},
    ],
}
