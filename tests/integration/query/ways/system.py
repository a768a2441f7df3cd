"""How the questions about the system are asked of both engines."""

ASKED = {
    "metric_series": [
        {"metric": "chronolake_cache_bytes"},
        *(
            {"metric": "chronolake_lake_files", "interval": interval}
            for interval in ("day", "week", "month", "quarter", "year")
        ),
        {"metric": "process_open_fds", "start": "2012", "end": "2014"},
        {"metric": "no_such_metric"},
    ],
    "resource_utilization": [{}, {"start": "2012", "end": "2014"}, {"end": "1960"}],
}
