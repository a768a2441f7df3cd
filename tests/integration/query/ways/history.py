"""How the questions about change are asked of both engines."""

DOMAIN = {"domain": "host-3.example"}
OF_DOMAIN = [
    DOMAIN,
    {"domain": "host-7.example", "project": "news"},
    {"domain": "165.22.100.0"},
    DOMAIN | {"start": "2011", "end": "2015"},
    {"domain": "nowhere.example"},
]
TOP_OF_DOMAIN = [*OF_DOMAIN, DOMAIN | {"limit": "3"}, DOMAIN | {"limit": "10000"}]
OF_ANY_DOMAIN = [{}, {"project": "blogs"}, {"start": "2011", "end": "2015"}, {"end": "1960"}, *OF_DOMAIN]
HALVES = {"start": "1996", "end": "2014", "other_start": "2015", "other_end": "2020"}

ASKED = {
    "change_rate": [
        *OF_DOMAIN,
        *(DOMAIN | {"interval": interval} for interval in ("day", "week", "quarter", "year")),
    ],
    "changing_urls": TOP_OF_DOMAIN,
    "compare_periods": [
        *(
            DOMAIN | HALVES | more
            for more in ({}, {"project": "blogs"}, {"end": "2018"}, {"other_end": "2015"})
        ),
        {"domain": "nowhere.example"} | HALVES,
    ],
    "link_rot": OF_ANY_DOMAIN,
    "survival_curve": OF_ANY_DOMAIN,
    "rotten_urls": TOP_OF_DOMAIN,
    "redirects": OF_DOMAIN,
    "redirect_targets": TOP_OF_DOMAIN,
    "redirect_chains": TOP_OF_DOMAIN,
    "status_mime": OF_ANY_DOMAIN,
    "url_shapes": OF_ANY_DOMAIN,
}
