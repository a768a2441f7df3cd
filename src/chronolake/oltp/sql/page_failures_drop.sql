-- Forget the failures of captures that have become pages.
DELETE FROM page_failures WHERE capture_id = ANY(%(ids)s)
