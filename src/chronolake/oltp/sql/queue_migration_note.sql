-- Note that a migration of the job queue's library is applied.
INSERT INTO queue_migrations (name) VALUES (%s)
