-- The tables that are in one state.
SELECT table_name FROM sync_tables WHERE state = %(state)s ORDER BY table_name
