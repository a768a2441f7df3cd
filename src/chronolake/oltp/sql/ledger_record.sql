-- Promise the batch to the lake.
INSERT INTO ledger (batch_id, import_id, table_name, path, rows, bytes, checksum, message_lsn)
VALUES (%(batch_id)s, %(import_id)s, %(table_name)s, %(path)s, %(rows)s, %(bytes)s, %(checksum)s, %(message_lsn)s)
