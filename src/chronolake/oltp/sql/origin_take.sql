-- Let the session's transactions bear the origin of that number.
SELECT pg_replication_origin_session_setup('chronolake_' || oid || '_' || %(number)s::integer)
FROM pg_database
WHERE datname = current_database()
