-- Note that what was decided against these captures did not keep them from being read.
UPDATE extraction_decisions SET overridden = true
WHERE capture_id = ANY(%(ids)s) AND NOT overridden
