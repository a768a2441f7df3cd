-- url_lives: from when to when each URL was seen alive, and since when it is dead; it takes url_evidence.
WITH url_lives AS (
SELECT domain, first_ok, last_ok, min(error_at) FILTER (WHERE error_at > last_ok) AS dead_from
FROM url_evidence
WHERE last_ok IS NOT NULL
GROUP BY domain, url_key, first_ok, last_ok
)
SELECT domain, first_ok, last_ok, dead_from FROM url_lives
