-- What a copy of a table has to remember, so that it can go on after a kill.

-- Changes before `careful_lsn` may be in the copy already; `copied_batches` are staged batches whose rows are in it.
ALTER TABLE sync_tables ADD COLUMN careful_lsn pg_lsn;
ALTER TABLE sync_tables ADD COLUMN copied_batches bigint[] NOT NULL DEFAULT '{}';
-- The table's file when its ranges were drawn: whoever rewrites the table moves its rows to other blocks.
ALTER TABLE sync_tables ADD COLUMN filenode oid;
-- The columns that its copied ranges have: where they are others since, those ranges are of no use.
ALTER TABLE sync_tables ADD COLUMN copied_shape text;

-- Where the snapshot lay that the range was copied from.
ALTER TABLE sync_backfill_ranges ADD COLUMN lsn pg_lsn;
