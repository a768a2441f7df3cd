-- Note a change that is about to be made.
INSERT INTO optimizer_log (kind, action, automatic, name, asked, why, definition, figures)
VALUES (%(kind)s, %(action)s, %(automatic)s, %(name)s, %(asked)s, %(why)s, %(definition)s, %(figures)s)
RETURNING id
