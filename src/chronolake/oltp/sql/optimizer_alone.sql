-- Whether this transaction alone may optimize by itself; nobody waits for it.
SELECT pg_try_advisory_xact_lock(%(key)s)
