-- Ask for a parked table to be copied anew; no row where it is not parked.
UPDATE sync_tables
SET state = 'copying', updated_at = clock_timestamp()
WHERE table_name = %(table_name)s AND state = 'parked'
RETURNING table_name
