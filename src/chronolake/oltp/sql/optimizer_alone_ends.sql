-- Let others optimize by themselves again.
SELECT pg_advisory_unlock(%(key)s)
