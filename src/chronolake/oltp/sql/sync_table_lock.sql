-- Take turns in what is noted of a table's copy: each statement after this one sees what the others noted before.
SELECT table_name FROM chronolake.sync_tables WHERE table_name = %(table_name)s FOR UPDATE
