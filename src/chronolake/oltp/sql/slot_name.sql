-- The name of this database's replication slot: slots are named across a whole server.
SELECT 'chronolake_' || oid FROM pg_database WHERE datname = current_database()
