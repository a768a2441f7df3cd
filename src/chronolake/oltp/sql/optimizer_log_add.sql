-- Note a change that is about to be made.
INSERT INTO optimizer_log (action, automatic, rollup, asked, why, definition, figures)
VALUES (%(action)s, %(automatic)s, %(rollup)s, %(asked)s, %(why)s, %(definition)s, %(figures)s)
RETURNING id
