-- Note an export that is asked for.
INSERT INTO exports (id, what, params, format) VALUES (%(id)s, %(what)s, %(params)s, %(format)s)
