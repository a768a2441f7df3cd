-- Whether this connection alone may optimize by itself; nobody waits for it.
SELECT pg_try_advisory_lock(%(key)s)
