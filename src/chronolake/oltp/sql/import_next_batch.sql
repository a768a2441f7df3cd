-- The number of the next batch; numbers may be skipped, none comes twice.
SELECT nextval('batch_ids')
