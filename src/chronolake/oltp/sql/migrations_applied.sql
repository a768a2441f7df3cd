-- The migrations this database has, in order.
SELECT version, name, checksum FROM schema_migrations ORDER BY version
