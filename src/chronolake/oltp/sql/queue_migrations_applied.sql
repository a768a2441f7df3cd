-- The migrations of the job queue's library that this database has.
SELECT name FROM queue_migrations
