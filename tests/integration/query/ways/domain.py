"""How the questions about domains are asked of both engines."""

ASKED = {
    "domain_timeline": [
        *(
            {"domain": "host-3.example", "interval": interval}
            for interval in ("day", "week", "month", "quarter", "year")
        ),
        {"domain": "host-3.example", "start": "2011", "end": "2014"},
        {"domain": "host-3.example", "project": "blogs", "interval": "year"},
        {"domain": "165.22.100.0", "interval": "year"},
        {"domain": "nowhere.example"},
    ],
    "top_domains": [
        {},
        {"limit": "3"},
        {"limit": "10000", "project": "news"},
        {"start": "2014", "end": "2014"},
    ],
}
