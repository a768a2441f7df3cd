-- What the server must have: its version and how much its WAL tells.
SELECT current_setting('server_version_num')::integer, current_setting('wal_level')
