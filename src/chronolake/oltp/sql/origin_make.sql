-- Make the database's origin of that number where it is missing.
SELECT pg_replication_origin_create(name)
FROM (SELECT 'chronolake_' || oid || '_' || %(number)s::integer AS name FROM pg_database WHERE datname = current_database()) o
WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = name)
