-- Bound the time of each statement of this transaction, in milliseconds.
SELECT set_config('statement_timeout', %(timeout_ms)s, true)
