-- Whether this transaction alone looks at how questions of a shape are answered; nobody waits for it.
SELECT pg_try_advisory_xact_lock(%(key)s, hashtext(%(shape)s))
